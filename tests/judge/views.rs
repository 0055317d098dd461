//! The views `--log` and `--stats` of a whole capture, compared.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::compare::{Table, Verdict, array};
use super::oracle::Truth;
use crate::mosquitto_log::lines;
use crate::tool::run;

/// Compares the lines of `--log` with those that mosquitto wrote, and the clients of `--stats` with
/// those that the driver had.
pub(crate) fn compare(truth: &Truth, capture: &Path, folder: &Path) -> Table {
    let mut table = Table::default();
    let log = std::fs::read_to_string(folder.join("broker.log")).unwrap_or_default();
    if log.contains("mosquitto version") {
        let theirs: BTreeSet<_> = lines(&log).into_iter().collect();
        let shown = run(["--log".as_ref(), capture.as_os_str()]);
        for line in lines(&shown.out) {
            let right = theirs.contains(&line);
            table.count("line of the log", Verdict::of(right), || line);
        }
    }
    let shown = run(["--stats", "--json"]
        .map(AsRef::as_ref)
        .into_iter()
        .chain([capture.as_os_str()]));
    let stats: Value = serde_json::from_str(&shown.out).expect("JSON");
    for row in array(&stats["stats"], "clients") {
        let links = truth.known.links.values();
        let links = links.filter(|link| row["client_id"] == *link.client);
        let right = row["connections"] == links.count();
        table.count("client", Verdict::of(right), || row.to_string());
    }
    table
}
