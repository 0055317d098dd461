//! `--log` compared with the log of a real mosquitto 2, line by line, while tcpdump captures.
//!
//! What a capture cannot show is left out on both sides: [`NOT_ON_THE_WIRE`]. Lines of different
//! clients may stand in another order, since mosquitto writes when it acts and a capture when the
//! bytes pass: each line once is what has to hold, and for each client the order of its lines.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::talk::{packet, text};
use crate::tool;

/// How lines of mosquitto begin that no capture shows: its start and end, its configuration, what
/// it stores and drops, and the errors of its own system calls.
const NOT_ON_THE_WIRE: &[&str] = &[
    "mosquitto version",
    "Warning: Mosquitto should",
    "Config loaded",
    "Opening ",
    "Saving ",
    "Outgoing messages are being dropped",
    "Dropping too large outgoing PUBLISH",
    "Expiring client",
    "Error in epoll",
];

/// How long the others wait until nothing more comes.
const QUIET: Duration = Duration::from_millis(40);

/// A mosquitto with two listeners: of the second one each user is unknown.
struct Mosquitto {
    child: Child,
    port: u16,
    closed_port: u16,
}

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A scripted client.
struct Client(TcpStream);

impl Client {
    fn to(port: u16) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        Self(stream)
    }

    /// Sends packets as one segment, and waits until no answer comes any more.
    fn sends(&mut self, packets: &[&[u8]]) {
        // It may be closed already: then that is the point.
        let _ = self.0.write_all(&packets.concat());
        self.reads();
    }

    fn reads(&mut self) {
        self.0.set_read_timeout(Some(QUIET)).expect("a timeout");
        let mut bytes = [0; 4096];
        while matches!(self.0.read(&mut bytes), Ok(1..)) {}
    }

    fn closes(self) {
        drop(self);
        std::thread::sleep(QUIET);
    }
}

/// CONNECT with Clean Session or not, and perhaps a will at QoS 1 with RETAIN.
fn connect(id: &str, level: u8, clean: bool, keep_alive: u8, will: Option<&str>) -> Vec<u8> {
    let name = if level == 3 { "MQIsdp" } else { "MQTT" };
    let flags = u8::from(clean) << 1 | if will.is_some() { 0x2c } else { 0 };
    let mut body = [&text(name)[..], &[level, flags, 0, keep_alive]].concat();
    let properties: &[u8] = if level == 5 { &[0] } else { &[] };
    body.extend(properties);
    body.extend(text(id));
    if let Some(topic) = will {
        body.extend([properties, &text(topic), &text("gone")].concat());
    }
    packet(0x10, &body)
}

fn publish(level: u8, first: u8, topic: &str, id: Option<u8>, payload: &[u8]) -> Vec<u8> {
    let id = id.map_or(Vec::new(), |id| vec![0, id]);
    let properties: &[u8] = if level == 5 { &[0] } else { &[] };
    packet(first, &[&text(topic), &id, properties, payload].concat())
}

fn subscribe(level: u8, id: u8, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = vec![0, id];
    body.extend(if level == 5 { &[0][..] } else { &[] });
    for (filter, qos) in filters {
        body.extend(text(filter));
        body.push(*qos);
    }
    packet(0x82, &body)
}

fn unsubscribe(level: u8, id: u8, filter: &str) -> Vec<u8> {
    let properties: &[u8] = if level == 5 { &[0] } else { &[] };
    packet(0xa2, &[&[0, id][..], properties, &text(filter)].concat())
}

const DISCONNECT: &[u8] = &[0xe0, 0];
const PINGREQ: &[u8] = &[0xc0, 0];

/// Whether a packet can be captured here.
fn tcpdump(port: u16, closed_port: u16, file: &Path) -> Option<Killed> {
    let child = Command::new("tcpdump")
        .args(["-i", "lo", "-U", "--immediate-mode", "-w"])
        .arg(file)
        .arg(format!("tcp port {port} or tcp port {closed_port}"))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let mut child = Killed(child.ok()?);
    let errors = BufReader::new(child.0.stderr.take()?);
    let listens = errors
        .lines()
        .map_while(Result::ok)
        .any(|line| line.contains("listening on"));
    listens.then_some(child)
}

/// Two ports that are free.
fn ports() -> (u16, u16) {
    let free = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let (one, other) = (free(), free());
    let port = |listener: &TcpListener| listener.local_addr().expect("an address").port();
    (port(&one), port(&other))
}

fn mosquitto(folder: &Path, port: u16, closed_port: u16) -> Mosquitto {
    let config = format!(
        "per_listener_settings true\nuser root\nmax_packet_size 300\n\
         listener {port} 127.0.0.1\nallow_anonymous true\n\
         listener {closed_port} 127.0.0.1\nallow_anonymous false\n"
    );
    let file = folder.join("mosquitto.conf");
    std::fs::write(&file, config).expect("written");
    let log = std::fs::File::create(folder.join("log")).expect("a log");
    let child = Command::new("mosquitto")
        .arg("-v")
        .arg("-c")
        .arg(file)
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("mosquitto starts");
    let until = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, closed_port)).is_err() {
        assert!(Instant::now() < until, "mosquitto does not listen");
        std::thread::sleep(QUIET);
    }
    Mosquitto {
        child,
        port,
        closed_port,
    }
}

/// A message at each QoS from one client to another, in one version.
fn messages(port: u16, level: u8) {
    let topic = &*format!("a/{level}");
    let comes = |name: &str, clean, will| {
        let mut client = Client::to(port);
        client.sends(&[&connect(&format!("{name}{level}"), level, clean, 60, will)]);
        client
    };
    let mut sub = comes("sub", true, Some("w/t"));
    sub.sends(&[&subscribe(level, 1, &[(topic, 2), ("b/+", 1)])]);
    let mut publisher = comes("pub", false, None);
    publisher.sends(&[&publish(level, 0x30, topic, None, b"zero")]);
    sub.reads();
    publisher.sends(&[&publish(level, 0x32, topic, Some(1), b"one")]);
    sub.reads();
    sub.sends(&[&[0x40, 2, 0, 1]]);
    publisher.sends(&[&publish(level, 0x35, topic, Some(2), b"two")]);
    publisher.sends(&[&[0x62, 2, 0, 2]]);
    sub.reads();
    sub.sends(&[&[0x50, 2, 0, 2]]);
    sub.sends(&[&[0x70, 2, 0, 2]]);
    // A retained message goes to a new subscription.
    sub.sends(&[&subscribe(level, 2, &[(topic, 0)])]);
    sub.sends(&[PINGREQ]);
    sub.sends(&[&unsubscribe(level, 3, "b/+"), &[0x50, 2, 0, 9]]);
    // Nothing waits for answers.
    let many = [
        publish(level, 0x32, "c/x", Some(5), b"5"),
        publish(level, 0x34, "c/x", Some(6), b"6"),
    ];
    publisher.sends(&[&many[0], &many[1], PINGREQ, DISCONNECT]);
    sub.sends(&[DISCONNECT]);
    publisher.closes();
    sub.closes();
}

/// The ends of connections that each side brings about.
fn ends(port: u16, level: u8) {
    let mut watch = Client::to(port);
    watch.sends(&[
        &connect(&format!("watch{level}"), level, true, 60, None),
        &subscribe(level, 1, &[("w/#", 0)]),
    ]);
    let comes = |name: &str, clean| {
        let mut client = Client::to(port);
        let name = format!("{name}{level}");
        client.sends(&[&connect(&name, level, clean, 60, Some("w/gone"))]);
        client
    };
    comes("fin", true).closes();
    let half = comes("half", true);
    half.0.shutdown(Shutdown::Write).expect("closed");
    half.closes();
    for clean in [true, false] {
        let mut before = comes("twice", clean);
        let mut after = comes("twice", clean);
        before.reads();
        after.sends(&[DISCONNECT]);
        before.closes();
        after.closes();
    }
    for (name, bytes) in [
        ("qos-three", packet(0x36, b"\0\x01t\0\x01\0x")),
        ("cut-topic", packet(0x30, b"\0\x05t")),
        ("wildcard", publish(level, 0x30, "t/#", None, b"x")),
        ("id-zero", publish(level, 0x32, "t", Some(0), b"x")),
        ("bad-filter", subscribe(level, 1, &[("good", 0), ("a#", 0)])),
        ("no-filter", subscribe(level, 1, &[])),
        ("bad-unfilter", unsubscribe(level, 1, "a#")),
        ("type-zero", vec![0, 0]),
        (
            "connack",
            packet(0x20, if level == 5 { b"\0\0\0" } else { b"\0\0" }),
        ),
        ("puback-zero", vec![0x40, 2, 0, 0]),
        ("again", connect("again", level, true, 60, None)),
        ("system", publish(level, 0x30, "$SYS/mine", None, b"x")),
    ] {
        // A SUBSCRIBE of 3.1 may be empty.
        if level == 3 && name == "no-filter" {
            continue;
        }
        let mut client = comes(name, true);
        client.sends(&[&bytes]);
        client.sends(&[PINGREQ]);
        client.closes();
    }
    watch.reads();
    watch.closes();
}

/// Clients without an identifier, refused clients, limits.
fn others(broker: &Mosquitto) {
    let port = broker.port;
    for level in [5, 4] {
        let mut client = Client::to(port);
        client.sends(&[&connect("", level, true, 60, None)]);
        client.sends(&[&publish(level, 0x32, "t", Some(1), b"x")]);
        client.closes();
        let mut client = Client::to(port);
        client.sends(&[&connect(&format!("big{level}"), level, true, 60, None)]);
        client.sends(&[&publish(level, 0x32, "t", Some(1), &[b'x'; 400])]);
        client.closes();
    }
    for (id, level, clean) in [
        ("", 4, false),
        ("", 3, true),
        ("v6", 6, true),
        ("old", 0x84, true),
    ] {
        let mut client = Client::to(port);
        client.sends(&[&connect(id, level, clean, 60, None)]);
        client.closes();
    }
    for level in [3, 4, 5] {
        let mut client = Client::to(broker.closed_port);
        client.sends(&[&connect("stranger", level, true, 60, None)]);
        client.closes();
    }
    // mosquitto looks every five seconds.
    let mut silent: Vec<Client> = Vec::new();
    for level in [4, 5] {
        let mut client = Client::to(port);
        client.sends(&[&connect(
            &format!("silent{level}"),
            level,
            true,
            1,
            Some("w/s"),
        )]);
        silent.push(client);
    }
    std::thread::sleep(Duration::from_secs(9));
    silent.into_iter().for_each(Client::closes);
}

/// The lines of a log that a capture can show, without the seconds, and each client without an
/// identifier by its address.
pub(crate) fn lines(log: &str) -> Vec<String> {
    let line = |line: &str| {
        line.split_once(": ")
            .map_or(line, |(_, rest)| rest)
            .to_owned()
    };
    let log: Vec<String> = log.lines().map(line).collect();
    let mut names = BTreeMap::new();
    for line in &log {
        if let Some(rest) = line.strip_prefix("New client connected from ")
            && let Some((from, rest)) = rest.split_once(" as ")
            && let Some((name, _)) = rest.split_once(" (")
            && name.starts_with("auto-")
        {
            names.insert(name.to_owned(), from.to_owned());
        }
    }
    let shown = |line: &&String| !NOT_ON_THE_WIRE.iter().any(|begin| line.starts_with(begin));
    let named = |line: &String| {
        let mut line = line.clone();
        for (name, address) in &names {
            line = line.replace(name, address);
        }
        line
    };
    log.iter().filter(shown).map(named).collect()
}

#[test]
fn the_log_of_a_capture_is_the_log_that_mosquitto_wrote() {
    if !tool::have("tcpdump")
        || !tool::needs("mosquitto", Path::new("/usr/sbin/mosquitto").exists())
    {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (port, closed_port) = ports();
    let mut broker = mosquitto(folder.path(), port, closed_port);
    std::thread::sleep(QUIET);
    let from = std::fs::read_to_string(folder.path().join("log"))
        .expect("a log")
        .len();
    let capture = folder.path().join("capture.pcap");
    let Some(mut capturing) = tcpdump(port, closed_port, &capture) else {
        let _ = broker.child.kill();
        return tool::skipped("tcpdump may not capture here");
    };
    std::thread::sleep(QUIET * 5);
    for level in [3, 4, 5] {
        messages(port, level);
        ends(port, level);
    }
    others(&broker);
    // Everything is captured, and what mosquitto's end shows is not asked.
    std::thread::sleep(QUIET * 10);
    let log = std::fs::read_to_string(folder.path().join("log")).expect("a log");
    let _ = Command::new("kill")
        .args(["-INT", &capturing.0.id().to_string()])
        .status();
    let _ = capturing.0.wait();
    let _ = broker.child.kill();
    let _ = broker.child.wait();

    let theirs = lines(&log[from..]);
    let shown = tool::run(["--log".as_ref(), capture.as_os_str()]);
    let ours = lines(&shown.out);
    assert!(theirs.len() > 500, "{log}");
    let mut missing = theirs.clone();
    let mut extra = Vec::new();
    for line in &ours {
        match missing.iter().position(|other| other == line) {
            Some(at) => drop(missing.remove(at)),
            None => extra.push(line),
        }
    }
    assert!(
        missing.is_empty() && extra.is_empty(),
        "only mosquitto has\n{missing:#?}\nonly we have\n{extra:#?}"
    );
    let names: BTreeSet<&str> = theirs
        .iter()
        .filter_map(|line| line.strip_prefix("New client connected from "))
        .filter_map(|rest| rest.split_once(" as ")?.1.split(' ').next())
        .collect();
    for name in names {
        let of = |log: &[String]| -> Vec<String> {
            let words = |line: &&String| line.split([' ', '.']).any(|word| word == name);
            log.iter().filter(words).cloned().collect()
        };
        assert_eq!(of(&ours), of(&theirs), "{name}");
    }
}
