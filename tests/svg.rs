//! The SVG of `--flow`, in a browser: it shows something, it holds the verdict, and no label
//! lies on another.

use std::process::{Command, Stdio};

use crate::tool::{have, run, skipped};

/// Asks the browser itself where each text stands: one line for each pair that overlaps.
const PROBE: &str = "
const boxes = [...document.querySelectorAll('text')].map(text => {
  const box = text.getBBox();
  return {text: text.textContent, l: box.x, t: box.y, r: box.x + box.width, b: box.y + box.height};
});
const found = ['texts ' + boxes.length];
const picture = document.querySelector('svg').viewBox.baseVal;
boxes.forEach((one, at) => {
  if (one.l < 0 || one.t < 0 || one.r > picture.width || one.b > picture.height)
    found.push('OUTSIDE ' + one.text);
  boxes.slice(at + 1).forEach(other => {
    if (one.l < other.r - 1 && other.l < one.r - 1 && one.t < other.b - 1 && other.t < one.b - 1)
      found.push('OVERLAP ' + one.text + ' | ' + other.text);
  });
});
document.querySelector('#found').textContent = found.join('\\n');
";

/// A browser that renders without a screen.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

fn browser() -> Option<&'static str> {
    let found = BROWSERS.into_iter().find(|name| {
        Command::new(name)
            .arg("--version")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
    });
    // Reports that it is missing, and fails where it must not be.
    if found.is_none() && !have("chromium") {
        skipped("no browser renders the SVG");
    }
    found
}

fn headless(browser: &str, folder: &std::path::Path) -> Command {
    let mut command = Command::new(browser);
    command
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-background-networking", "--no-first-run"])
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn a_browser_renders_the_ladders_without_overlap() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    for (capture, verdict) in [
        ("qos2.pcap", "complete in"),
        ("will.pcap", "published in frame"),
        ("wildcards.pcap", "delivered in frame"),
        ("offline-queue.pcap", "queued while the subscriber was away"),
    ] {
        let path = format!("testdata/captures/{capture}");
        let svg = run(["--flow", "all", "--format", "svg", &path]).out;
        assert!(svg.contains(verdict), "{capture}: {verdict}");
        let page = folder.path().join("page.html");
        let html = format!(
            "<!doctype html><meta charset=utf-8><body>{svg}<pre id=found></pre><script>{PROBE}</script>"
        );
        std::fs::write(&page, html).expect("the page is written");
        let dumped = headless(browser, folder.path())
            .arg("--dump-dom")
            .arg(&page)
            .output()
            .expect("the browser starts");
        let dom = String::from_utf8_lossy(&dumped.stdout);
        let marked = dom
            .split_once("<pre id=\"found\">")
            .and_then(|(_, rest)| rest.split_once("</pre>"))
            .map_or_else(
                || panic!("{capture}: the page did not run: {dom}"),
                |(marked, _)| marked,
            );
        assert!(dom.contains(verdict), "{capture}: {verdict}");
        let mut lines = marked.lines();
        let texts: usize = lines
            .next()
            .and_then(|line| line.strip_prefix("texts ")?.parse().ok())
            .expect("the number of texts");
        assert!(texts > 10, "{capture}: {texts} texts");
        assert_eq!(lines.collect::<Vec<_>>(), [""; 0], "{capture}");
    }
}

#[test]
fn the_picture_is_not_blank() {
    let Some(browser) = browser() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let svg = folder.path().join("flow.svg");
    let drawn = run([
        "--flow",
        "qos2",
        "--format",
        "svg",
        "testdata/captures/qos2.pcap",
    ])
    .out;
    std::fs::write(&svg, drawn).expect("the picture is written");
    let blank = folder.path().join("blank.svg");
    std::fs::write(&blank, "<svg xmlns=\"http://www.w3.org/2000/svg\"/>").expect("written");
    let [shot, empty] = [&svg, &blank].map(|source| {
        let png = source.with_extension("png");
        let done = headless(browser, folder.path())
            .arg("--window-size=1000,800")
            .arg(format!("--screenshot={}", png.display()))
            .arg(source)
            .stdout(Stdio::null())
            .status()
            .expect("the browser starts");
        assert!(done.success(), "{done}");
        std::fs::metadata(png).expect("a screenshot").len()
    });
    // A blank page packs into next to nothing.
    assert!(shot > 4 * empty, "{shot} bytes, {empty} when blank");
}
