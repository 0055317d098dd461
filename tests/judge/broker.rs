//! Real brokers, each a program with its log, and tcpdump beside it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::tool::needs;

/// Which broker is the judge.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Mosquitto,
    /// In Node.js; found by `NODE_PATH`.
    Aedes,
    /// In Python; `MQTT_INSPECT_AMQTT` names an interpreter that has it, if not `python3`.
    Amqtt,
}

/// How the broker ends in the middle of a run.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Restart {
    /// SIGTERM: mosquitto keeps its sessions.
    Orderly,
    /// SIGKILL, and what it stored is removed: every session is lost.
    Killed,
}

impl Kind {
    /// Whether its programs and tcpdump are there.
    pub(crate) fn is_there(self) -> bool {
        let works = |command: &mut Command| {
            let run = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
            run.is_ok_and(|status| status.success())
        };
        let (name, found) = match self {
            // mosquitto -h ends with 3.
            Self::Mosquitto => ("mosquitto", crate::tool::have("mosquitto")),
            Self::Aedes => (
                "aedes",
                works(Command::new("node").args(["-e", "require('aedes')"])),
            ),
            Self::Amqtt => (
                "amqtt",
                works(Command::new(python()).args(["-c", "import amqtt"])),
            ),
        };
        // Who may not capture from `lo` can judge nothing.
        let opens = works(Command::new("tcpdump").args(["-i", "lo", "-d"]));
        needs(name, found) && needs("tcpdump", opens)
    }
}

fn python() -> String {
    std::env::var("MQTT_INSPECT_AMQTT").unwrap_or_else(|_| "python3".to_owned())
}

/// A broker that runs on a port of its own, and the capture of that port.
pub(crate) struct Broker {
    kind: Kind,
    pub(crate) port: u16,
    folder: PathBuf,
    process: Child,
    capture: Child,
}

const AEDES: &str = r#"
const { Aedes } = require("aedes");
const port = Number(process.argv[1]);
(Aedes.createBroker ? Aedes.createBroker({}) : Promise.resolve(new Aedes({}))).then((broker) => {
    require("net").createServer(broker.handle).listen(port, "127.0.0.1");
});
"#;

const AMQTT: &str = r#"
import asyncio, sys
from amqtt.broker import Broker
async def main():
    broker = Broker({
        "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:" + sys.argv[1]}},
        "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
    })
    await broker.start()
    await asyncio.Event().wait()
asyncio.run(main())
"#;

impl Broker {
    /// Starts tcpdump, then the broker; `folder` takes their files.
    pub(crate) fn start(kind: Kind, folder: &Path) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let capture = capture(port, &folder.join("whole.pcap"));
        let process = serve(kind, port, folder);
        Self {
            kind,
            port,
            folder: folder.to_owned(),
            process,
            capture,
        }
    }

    /// Ends the broker and starts it again on its port.
    pub(crate) fn restart(&mut self, how: Restart) {
        match how {
            Restart::Orderly => interrupt(&mut self.process, "-TERM"),
            Restart::Killed => {
                self.process.kill().expect("it runs");
                self.process.wait().expect("it ran");
                let _ = fs::remove_file(self.folder.join("mosquitto.db"));
            }
        }
        self.process = serve(self.kind, self.port, &self.folder);
    }

    /// Ends the capture, then the broker, and returns the capture's file.
    pub(crate) fn stop(mut self) -> PathBuf {
        // The last frames are on their way through the kernel.
        thread::sleep(Duration::from_millis(300));
        interrupt(&mut self.capture, "-INT");
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.folder.join("whole.pcap")
    }
}

/// Sends a signal and waits for the end.
fn interrupt(process: &mut Child, signal: &str) {
    let id = process.id().to_string();
    let sent = Command::new("kill").args([signal, &id]).status();
    assert!(sent.expect("kill").success());
    process.wait().expect("it ran");
}

/// Starts tcpdump and waits until it listens.
fn capture(port: u16, file: &Path) -> Child {
    let mut capture = Command::new("tcpdump")
        .args(["-i", "lo", "-U", "-n", "-B", "16384", "-s", "0"])
        .args(if cfg!(target_os = "linux") && is_root() {
            &["-Z", "root"][..]
        } else {
            &[]
        })
        .arg("-w")
        .arg(file)
        .args(["tcp", "port", &port.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tcpdump");
    let mut lines = BufReader::new(capture.stderr.take().expect("its messages")).lines();
    let listens = lines.any(|line| line.is_ok_and(|line| line.contains("listening on")));
    assert!(listens, "tcpdump captures nothing from lo");
    // It waits for none who reads them.
    thread::spawn(move || lines.count());
    capture
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Starts the broker and waits until it takes connections.
fn serve(kind: Kind, port: u16, folder: &Path) -> Child {
    let mut command = match kind {
        Kind::Mosquitto => {
            let options = folder.join("mosquitto.conf");
            let place = folder.display();
            let text = format!(
                "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nset_tcp_nodelay true\n\
                 persistence true\npersistence_location {place}/\nsys_interval 0\n\
                 log_type all\nlog_dest stderr\n"
            );
            fs::write(&options, text).expect("a file");
            let mut command = Command::new("mosquitto");
            command.arg("-c").arg(options);
            command
        }
        Kind::Aedes => {
            let mut command = Command::new("node");
            command.args(["-e", AEDES, &port.to_string()]);
            command
        }
        Kind::Amqtt => {
            let mut command = Command::new(python());
            command.args(["-c", AMQTT, &port.to_string()]);
            command
        }
    };
    let log = File::options()
        .create(true)
        .append(true)
        .open(folder.join("broker.log"))
        .expect("a log");
    let process = command
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("the broker");
    let until = Instant::now() + Duration::from_secs(30);
    // A connection without a CONNECT would stand in the capture: the kernel is asked instead.
    while !listens(port) {
        assert!(Instant::now() < until, "{kind:?} does not listen");
        thread::sleep(Duration::from_millis(20));
    }
    process
}

/// Whether the kernel lists a listener on the port.
fn listens(port: u16) -> bool {
    let wanted = format!("0100007F:{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap_or_default();
    table.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(1);
        columns.next() == Some(wanted.as_str()) && columns.nth(1) == Some("0A")
    })
}

/// A connection to the broker that sends each packet at once and never waits.
pub(crate) fn dial(port: u16) -> TcpStream {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the broker listens");
    stream.set_nodelay(true).expect("an option of TCP");
    stream.set_nonblocking(true).expect("an option of TCP");
    stream
}
