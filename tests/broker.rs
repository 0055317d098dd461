//! The integrated broker: played by scripts, used by other people's clients, and held
//! against what its own capture shows.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mqtt_inspect::base::Span;
use mqtt_inspect::broker::net::Net;
use mqtt_inspect::broker::{BrokerOptions, Seed};
use mqtt_inspect::record::frames::LinkLayer;
use mqtt_inspect::record::scenario::{self, SCENARIOS};
use mqtt_inspect::record::script::Script;
use mqtt_inspect::record::{self, RecordOptions, Source};

use crate::tool;

/// A recording: its file, and the broker's log without the seconds.
struct Made {
    path: PathBuf,
    log: Vec<String>,
    status: Option<i32>,
}

impl Made {
    /// The port that the broker listened on.
    fn port(&self) -> &str {
        let matches = |line: &String| line.starts_with("Opening ipv4");
        let line = self
            .log
            .iter()
            .find(|line| matches(line))
            .expect("a listener");
        let (_, port) = line.rsplit_once(' ').expect("words");
        port.trim_end_matches('.')
    }
}

fn record(folder: &Path, name: &str, options: RecordOptions) -> Made {
    let path = folder.join(name);
    let options = RecordOptions {
        output: Some(path.clone()),
        port: 0,
        ..options
    };
    let mut log = Vec::new();
    let recorded = record::run(&options, &mut log);
    let text = String::from_utf8(log).expect("the log is text");
    assert!(recorded.is_ok(), "{name}: {recorded:?}\n{text}");
    let recorded = recorded.expect("a recording");
    assert!(recorded.frames > 0, "{name}: nothing was recorded\n{text}");
    Made {
        path,
        log: lines(&text),
        status: recorded.status,
    }
}

fn played(folder: &Path, name: &str, script: Script, link: LinkLayer) -> Made {
    let options = RecordOptions {
        source: Source::Script(Box::new(script)),
        link,
        ..RecordOptions::default()
    };
    record(folder, &format!("{name}.pcapng"), options)
}

fn scenario(folder: &Path, name: &str, link: LinkLayer) -> Made {
    let scenario = scenario::find(name).expect("a scenario of that name");
    let script = scenario.script().expect("a valid script");
    played(folder, name, script, link)
}

/// The lines of a log without the seconds before them.
fn lines(log: &str) -> Vec<String> {
    let line = |line: &str| {
        line.split_once(": ")
            .map_or(line, |(_, rest)| rest)
            .to_owned()
    };
    log.lines().map(line).collect()
}

/// The packets and clients in a log, each client under a name that does not hang on
/// ports, assigned identifiers or what only the broker knows.
fn packets(log: &[String]) -> Vec<String> {
    let mut names: HashMap<String, String> = HashMap::new();
    for line in log {
        if let Some((_, rest)) = line.split_once("New client connected from ")
            && let Some((from, rest)) = rest.split_once(" as ")
            && let Some((name, _)) = rest.split_once(" (")
            && (name.starts_with("auto-") || name == from)
        {
            let number = names.len();
            names
                .entry(name.to_owned())
                .or_insert(format!("client-{number}"));
        }
    }
    // mosquitto has no line for its DISCONNECT, and no name for a client that it refuses.
    let refused = |line: &str| line.starts_with("Sending CONNACK") && !line.ends_with(", 0)");
    let about_a_packet = |line: &&String| {
        let begins = line.starts_with("Received ") || line.starts_with("Sending ");
        begins && !line.starts_with("Sending DISCONNECT") && !refused(line)
    };
    let named = |line: &String| {
        let words = line
            .split(' ')
            .map(|word| names.get(word).map_or(word, String::as_str));
        words.collect::<Vec<_>>().join(" ")
    };
    // Packets that end the connection: the broker and mosquitto write different ones of them.
    let fatal = |at: usize| {
        let next = log.get(at + 1);
        next.is_some_and(|next| {
            next.starts_with("Sending DISCONNECT") || next.contains(" disconnected due to ")
        })
    };
    let taken = log.iter().enumerate().filter(|(at, _)| !fatal(*at));
    taken
        .map(|(_, line)| line)
        .filter(about_a_packet)
        .map(named)
        .collect()
}

#[test]
fn what_the_broker_handled_is_what_reading_its_capture_shows() {
    let folder = tempfile::tempdir().expect("a folder");
    std::thread::scope(|threads| {
        for scenario in SCENARIOS.iter().filter(|scenario| scenario.name != "lab") {
            let folder = folder.path();
            threads.spawn(move || {
                let made = self::scenario(folder, scenario.name, LinkLayer::Ethernet);
                let shown = tool::run([OsString::from("--log"), made.path.clone().into()]);
                let mut expected = packets(&made.log);
                let mut found = packets(&lines(&shown.out));
                assert!(!expected.is_empty(), "{}: {:#?}", scenario.name, made.log);
                // An eager client answers before the broker reads it, so the log may have them in
                // another order than the wire: each line once is what has to hold.
                expected.sort_unstable();
                found.sort_unstable();
                assert_eq!(found, expected, "{}", scenario.name);
                flawless(&made);
            });
        }
    });
}

/// tshark finds nothing wrong with the frames.
fn flawless(made: &Made) {
    if !tool::have("tshark") {
        return;
    }
    let wrong = Command::new("tshark")
        .args(["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y"])
        .arg(
            // A client that reset its connection may be given the same port again.
            "(tcp.analysis.flags && !tcp.analysis.reused_ports) || _ws.malformed || tcp.checksum.status == 0 || \
             ip.checksum.status == 0",
        )
        .arg("-d")
        .arg(format!("tcp.port=={},mqtt", made.port()))
        .arg("-r")
        .arg(&made.path)
        .output()
        .expect("tshark runs");
    let wrong = String::from_utf8_lossy(&wrong.stdout).into_owned();
    assert!(wrong.is_empty(), "{}: {wrong}", made.path.display());
}

#[test]
fn the_same_script_with_the_same_seed_gives_the_same_packets_in_the_same_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let play = |name: &str| {
        let made = scenario(folder.path(), name, LinkLayer::Ethernet);
        let on_the_wire = tool::run([OsString::from("--log"), made.path.clone().into()]);
        std::fs::remove_file(&made.path).expect("removed");
        let assigned = |line: &&String| line.starts_with("Sending CONNACK");
        let names: Vec<_> = made.log.iter().filter(assigned).cloned().collect();
        (packets(&lines(&on_the_wire.out)), names)
    };
    for name in ["fan-out", "qos2", "topic-alias"] {
        assert_eq!(play(name), play(name), "{name}");
    }
}

#[test]
fn the_lab_comes_out_row_by_row() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = scenario(folder.path(), "lab", LinkLayer::LinuxCooked);
    let json = tool::run([OsString::from("--json"), made.path.into()]);
    let document: serde_json::Value = serde_json::from_str(&json.out).expect("JSON");
    let rows = document["packets"].as_array().expect("packets");
    let row = |packet: &serde_json::Value| {
        let info = packet["info"].as_str().expect("info").to_owned();
        (packet["length"].as_u64().expect("length"), info)
    };
    let rows: Vec<_> = rows.iter().map(row).collect();
    let holds = |expected: &[(u64, &str)]| {
        let same = |window: &[(u64, String)]| {
            let pairs = window.iter().zip(expected);
            pairs.into_iter().all(|((length, info), (wanted, words))| {
                length == wanted && info.split("  ").next() == Some(words)
            })
        };
        assert!(
            rows.windows(expected.len()).any(same),
            "{expected:?}\n{rows:#?}"
        );
    };
    // QoS 1.
    holds(&[
        (102, "Connect Command"),
        (92, "Connect Ack"),
        (99, "Subscribe Request (id=1) [test]"),
        (93, "Subscribe Ack (id=1)"),
        (102, "Connect Command"),
        (92, "Connect Ack"),
        (109, "Publish Message (id=1) [test]"),
        (109, "Publish Message (id=1) [test]"),
        (92, "Publish Ack (id=1)"),
        (92, "Publish Ack (id=1)"),
        (90, "Disconnect Req"),
        (102, "Connect Command"),
        (92, "Connect Ack"),
        (109, "Publish Message (id=1) [test]"),
        (109, "Publish Message (id=2) [test]"),
    ]);
    // QoS 2: the subscriber's PUBREC stands before the publisher's PUBCOMP.
    holds(&[
        (109, "Publish Message (id=1) [test]"),
        (92, "Publish Received (id=1)"),
        (92, "Publish Release (id=1)"),
        (109, "Publish Message (id=1) [test]"),
        (92, "Publish Received (id=1)"),
        (92, "Publish Complete (id=1)"),
        (90, "Disconnect Req"),
        (92, "Publish Release (id=1)"),
        (92, "Publish Complete (id=1)"),
    ]);
    // The last will.
    holds(&[
        (148, "Connect Command"),
        (92, "Connect Ack"),
        (109, "Subscribe Request (id=1) [handong/csee/#]"),
    ]);
    holds(&[
        (111, "Publish Message [handong/csee/c]"),
        (90, "Disconnect Req"),
    ]);
    holds(&[(134, "Publish Message [handong/status]")]);
    // The retained message goes to the second subscriber at once.
    holds(&[
        (93, "Subscribe Ack (id=1)"),
        (117, "Publish Message [info/server]"),
        (90, "Disconnect Req"),
    ]);
}

#[test]
fn a_script_that_cannot_be_played_fails_with_the_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = "[[clients]]\nname = \"a\"\n\n[[steps]]\nconnect = { client = \"a\" }\n\
                [[steps]]\nwait = { client = \"a\", packet = \"PUBLISH\", timeout = \"50ms\" }\n";
    let options = RecordOptions {
        output: Some(folder.path().join("never.pcapng")),
        port: 0,
        source: Source::Script(Box::new(Script::parse(text).expect("valid"))),
        ..RecordOptions::default()
    };
    let error = record::run(&options, &mut Vec::new()).expect_err("nothing is published");
    let message = error.to_string();
    assert!(
        message.contains("line 7") && message.contains("PUBLISH"),
        "{message}"
    );
    assert!(folder.path().join("never.pcapng").exists());
}

/// Runs a shell script beside the broker, with `$MQTT_HOST` and `$MQTT_PORT`.
fn beside(folder: &Path, name: &str, script: &str) -> Made {
    let line = ["sh", "-ec", script].map(OsString::from);
    let options = RecordOptions {
        source: Source::Command(line.to_vec()),
        duration: Some(Duration::from_secs(60)),
        ..RecordOptions::default()
    };
    record(folder, name, options)
}

/// Shell words for mosquitto's clients: `sub` waits in the background for what `out` lists.
const MOSQUITTO: &str = r#"
    export LC_ALL=C.UTF-8
    cd "$FOLDER"
    pub() { mosquitto_pub -h "$MQTT_HOST" -p "$MQTT_PORT" "$@"; }
    sub() { n=$1; shift; mosquitto_sub -h "$MQTT_HOST" -p "$MQTT_PORT" -W 20 "$@" > "$n" & last=$!; sleep 0.3; }
    is() { wait "$last" || true; [ "$(cat "$1")" = "$2" ] || { echo "$1: '$(cat "$1")', not '$2'" >&2; exit 1; }; }
"#;

fn with_mosquitto(name: &str, script: &str) {
    if !tool::have("mosquitto_pub") || !tool::have("mosquitto_sub") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let set = format!(
        "FOLDER='{}'\n{MOSQUITTO}\n{script}",
        folder.path().display()
    );
    let made = beside(folder.path(), "made.pcapng", &set);
    assert_eq!(made.status, Some(0), "{name}: {:#?}", made.log);
    flawless(&made);
    let shown = tool::run([OsString::from("--log"), made.path.into()]);
    let mut expected = packets(&made.log);
    let mut found = packets(&lines(&shown.out));
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected, "{name}");
}

#[test]
fn mosquittos_clients_of_each_version_get_the_lower_qos() {
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        let mut script = String::new();
        for published in 0..3 {
            for granted in 0..3 {
                let lower = granted.min(published);
                script.push_str(&format!(
                    "sub q{published}{granted} -V {version} -C 1 -t q/{published}{granted} \
                     -q {granted} -F '%q %p'\n\
                     pub -V {version} -t q/{published}{granted} -q {published} -m hi\n\
                     is q{published}{granted} '{lower} hi'\n"
                ));
            }
        }
        with_mosquitto(version, &script);
    }
}

#[test]
fn mosquittos_clients_find_wildcards_retained_messages_and_wills() {
    with_mosquitto(
        "wildcards, retained messages, wills",
        r#"
        sub wild -C 3 -t 'w/+/b' -t 'w2/#' -F '%t'
        pub -t w/a/b -m 1; pub -t w2 -m 2; pub -t '$w2/x' -m 3; pub -t w2/c -m 4
        is wild "w/a/b
w2
w2/c"
        pub -t r -r -m one; pub -t r -r -m two
        sub kept -C 1 -t r -F '%r %p'; is kept '1 two'
        pub -t r -r -n
        sub cleared -C 1 -W 1 -t r; is cleared ''
        sub will -C 1 -t gone
        watch=$last
        sub victim -t x -i victim --will-topic gone --will-payload bye
        kill -9 $last; last=$watch; is will bye
        "#,
    );
}

#[test]
fn mosquittos_clients_come_back_to_their_messages() {
    with_mosquitto(
        "offline queue, large and many messages",
        r#"
        sub away -c -i worker -q 1 -t jobs -W 1; is away ''
        for i in 1 2 3; do pub -t jobs -q 1 -m $i; done
        sub back -c -i worker -q 1 -t jobs -C 3; is back "1
2
3"
        head -c 300000 /dev/zero > big
        sub size -C 1 -q 2 -t big -F '%l'; pub -q 2 -t big -f big; is size 300000
        seq 500 > lines
        sub burst -C 500 -q 2 -t burst; pub -q 2 -t burst -l < lines
        wait $last; cmp burst lines
        "#,
    );
}

#[test]
fn mosquittos_clients_see_the_properties_of_5() {
    with_mosquitto(
        "properties",
        r#"
        sub props -V 5 -C 1 -t p -F '%P %C %R %D %E %p'
        pub -V 5 -t p -m z -D publish user-property a b -D publish content-type ct \
            -D publish response-topic rt -D publish correlation-data cd \
            -D publish message-expiry-interval 100
        is props 'a:b ct rt cd 100 z'
        sub old -C 1 -t mixed -F %p; pub -V 5 -t mixed -m new -D publish user-property a b; is old new
        sub new -V 5 -C 1 -t mixed -F %p; pub -V 31 -i old -t mixed -m old; is new old
        sub late -V 5 -C 1 -t late -F %p; watch=$last
        sub victim -V 5 -t x -x 60 -i victim --will-topic late --will-payload will \
            -D will will-delay-interval 1
        kill -9 $last; last=$watch; is late will
        "#,
    );
}

#[test]
fn paho_finds_its_broker() {
    // Debian's package is for Debian's own Python, which need not be the first in the path.
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        let known = Command::new(python)
            .args(["-c", "import paho.mqtt.client"])
            .output();
        known.is_ok_and(|output| output.status.success())
    });
    if !tool::needs("paho-mqtt", python.is_some()) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"
import os, threading
import paho.mqtt.client as mqtt
host, port = os.environ["MQTT_HOST"], int(os.environ["MQTT_PORT"])
def client(name, version):
    if hasattr(mqtt, "CallbackAPIVersion"):
        return mqtt.Client(mqtt.CallbackAPIVersion.VERSION1, name, protocol=version)
    return mqtt.Client(name, protocol=version)
for version in (mqtt.MQTTv31, mqtt.MQTTv311, mqtt.MQTTv5):
    got, ready, done = [], threading.Event(), threading.Event()
    sub, pub = client("sub", version), client("pub", version)
    sub.on_subscribe = lambda *a: ready.set()
    def message(c, u, m):
        got.append((m.topic, m.qos, m.payload))
        if len(got) == 60: done.set()
    sub.on_message = message
    sub.connect(host, port); sub.loop_start(); sub.subscribe("paho/#", 2)
    assert ready.wait(10)
    pub.connect(host, port); pub.loop_start()
    for i in range(60): pub.publish("paho/%d" % i, b"%d" % i, i % 3).wait_for_publish()
    assert done.wait(10), len(got)
    assert sorted(got) == sorted(("paho/%d" % i, i % 3, b"%d" % i) for i in range(60))
    for c in (sub, pub): c.disconnect(); c.loop_stop()
"#;
    let line = [python.unwrap_or_default(), "-c", script];
    let line = line.map(OsString::from).to_vec();
    let options = RecordOptions {
        source: Source::Command(line),
        duration: Some(Duration::from_secs(60)),
        ..RecordOptions::default()
    };
    let made = record(folder.path(), "paho.pcapng", options);
    assert_eq!(made.status, Some(0), "{:#?}", made.log);
    flawless(&made);
}

/// A broker in a thread of its own, without a capture, until this is dropped.
struct Served {
    port: u16,
    /// Its log.
    lines: Arc<Mutex<Vec<String>>>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<usize>>,
}

impl Served {
    fn start(options: BrokerOptions) -> Self {
        let connections = options.limits.connections;
        Self::with(options, connections)
    }

    /// With so many connections at the most.
    fn with(mut options: BrokerOptions, connections: usize) -> Self {
        options.port = 0;
        options.limits.connections = connections;
        let mut net = Net::listen(options, &[], ()).expect("a free port");
        let (port, stop) = (net.port(), Arc::new(AtomicBool::new(false)));
        let stopped = Arc::clone(&stop);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&lines);
        let thread = std::thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                net.turn(Duration::from_millis(10)).expect("nothing fails");
                log.lock().expect("no panic").extend(net.take_lines());
            }
            net.connections()
        });
        Self {
            port,
            lines,
            stop,
            thread: Some(thread),
        }
    }

    /// A connection that has sent nothing yet.
    fn raw(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("a broker");
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a time limit");
        stream
    }

    /// How many lines of its log hold these words.
    fn logged(&self, words: &str) -> usize {
        let lines = self.lines.lock().expect("no panic");
        lines.iter().filter(|line| line.contains(words)).count()
    }

    /// The same, once there are as many or a while has passed: a client may learn of it first.
    fn logged_at_last(&self, words: &str, times: usize) -> usize {
        for _ in 0..500 {
            if self.logged(words) >= times {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.logged(words)
    }

    fn connect(&self, client_id: &str) -> TcpStream {
        let mut stream = self.raw();
        let mut packet = vec![0x10, 12 + client_id.len() as u8];
        packet.extend(b"\0\x04MQTT\x04\x02\0\0\0");
        packet.push(client_id.len() as u8);
        packet.extend(client_id.as_bytes());
        stream.write_all(&packet).expect("written");
        assert_eq!(read(&mut stream, 4), [0x20, 2, 0, 0]);
        stream
    }

    /// Connections that the broker still had at its end.
    fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread
            .take()
            .expect("started")
            .join()
            .expect("no panic")
    }
}

fn read(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("bytes");
    bytes
}

#[test]
fn a_subscriber_that_does_not_read_holds_up_no_other() {
    let broker = Served::start(BrokerOptions::default());
    let mut slow = broker.connect("slow");
    let mut fast = broker.connect("fast");
    for stream in [&mut slow, &mut fast] {
        stream
            .write_all(&[0x82, 6, 0, 1, 0, 1, b't', 0])
            .expect("written");
        read(stream, 5);
    }
    let payload = vec![b'x'; 100_000];
    let mut packet = vec![0x30, 0xa3, 0x8d, 0x06, 0, 1, b't'];
    packet.extend(&payload);
    let mut publisher = broker.connect("publisher");
    let writing = std::thread::spawn(move || {
        for _ in 0..400 {
            publisher.write_all(&packet).expect("written");
        }
        publisher
    });
    for _ in 0..400 {
        read(&mut fast, 7 + payload.len());
    }
    drop(writing.join().expect("written"));
    drop(slow);
    broker.stop();
}

#[test]
fn hostile_bytes_end_their_own_connection_only_and_nothing_leaks() {
    let broker = Served::start(BrokerOptions::default());
    let mut witness = broker.connect("witness");
    let mut seed = Seed::new(7);
    for round in 0..300 {
        let mut stream = if round % 2 == 0 {
            broker.connect("")
        } else {
            TcpStream::connect((Ipv4Addr::LOCALHOST, broker.port)).expect("a broker")
        };
        let bytes: Vec<u8> = (0..seed.next() % 40).map(|_| seed.next() as u8).collect();
        // The broker may have closed already.
        let _ = stream.write_all(&bytes);
    }
    witness.write_all(&[0xc0, 0]).expect("written");
    assert_eq!(read(&mut witness, 2), [0xd0, 0]);
    drop(witness);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(broker.stop(), 0);
}

/// Two clients that have nothing to do with what happens beside them.
struct Bystanders(TcpStream, TcpStream);

impl Bystanders {
    fn new(broker: &Served) -> Self {
        let (mut subscriber, publisher) = (broker.connect("hears"), broker.connect("says"));
        subscriber
            .write_all(&[0x82, 6, 0, 1, 0, 1, b'b', 0])
            .expect("written");
        read(&mut subscriber, 5);
        Self(subscriber, publisher)
    }

    /// A message still gets from one to the other.
    fn work(&mut self) {
        let message = [0x30, 4, 0, 1, b'b', b'x'];
        self.1.write_all(&message).expect("written");
        assert_eq!(read(&mut self.0, 6), message);
    }
}

/// Reads up to the end of the connection, whatever comes before it.
fn read_to_end(stream: &mut TcpStream) {
    let mut bytes = [0; 4096];
    // A reset is an end too.
    while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
}

#[test]
fn a_flood_of_connections_is_refused_and_logged() {
    let broker = Served::with(BrokerOptions::default(), 20);
    let mut bystanders = Bystanders::new(&broker);
    let mut flood: Vec<_> = (0..60).map(|_| broker.raw()).collect();
    bystanders.work();
    // Eighteen are let in, the others see their ends.
    for stream in flood.iter_mut().skip(18) {
        read_to_end(stream);
    }
    bystanders.work();
    let limit = "20 connections are open, which is the limit";
    assert_eq!(broker.logged_at_last(limit, 42), 42);
    drop(flood);
    std::thread::sleep(Duration::from_millis(300));
    // There is room again.
    let mut late = broker.connect("late");
    late.write_all(&[0xc0, 0]).expect("written");
    assert_eq!(read(&mut late, 2), [0xd0, 0]);
    broker.stop();
}

#[test]
fn connections_that_send_nothing_or_send_it_slowly_are_closed_and_hold_up_no_other() {
    let broker = Served::start(BrokerOptions {
        connect_timeout: Span::from_nanos(1_500_000_000),
        ..BrokerOptions::default()
    });
    let mut bystanders = Bystanders::new(&broker);
    let mut slow: Vec<_> = (0..200).map(|_| broker.raw()).collect();
    let connect = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04slow";
    // Byte by byte, never to the end; half of them send nothing.
    for byte in connect.iter().take(10) {
        for stream in slow.iter_mut().skip(100) {
            // The broker may have lost its patience.
            let _ = stream.write_all(&[*byte]);
        }
        bystanders.work();
    }
    for stream in &mut slow {
        read_to_end(stream);
    }
    bystanders.work();
    assert_eq!(broker.logged_at_last("no CONNECT in time", 200), 200);
    broker.stop();
}

#[test]
fn malformed_packets_of_every_kind_end_their_own_connection_only() {
    let broker = Served::start(BrokerOptions::default());
    let mut bystanders = Bystanders::new(&broker);
    let bodies: [&[u8]; 6] = [
        // Without a body, too short, with a name that is no UTF-8, with one that is longer
        // than the packet, with all bits set, and with a length that never ends.
        &[0],
        &[1, 0],
        &[6, 0, 2, 0xff, 0xfe, 0, 1],
        &[4, 0xff, 0xff, b'a', b'b'],
        &[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xff, 0xff, 0xff, 0xff, 0xff],
    ];
    for first in 0..=255u8 {
        for (at, body) in bodies.iter().enumerate() {
            let mut stream = match (usize::from(first) + at) % 2 {
                0 => broker.raw(),
                _ => broker.connect("broken"),
            };
            let packet = [&[first], *body].concat();
            // DISCONNECT, so that the end comes for what is no fault.
            let _ = stream.write_all(&[packet.as_slice(), &[0xe0, 0]].concat());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            read_to_end(&mut stream);
        }
        bystanders.work();
    }
    assert!(broker.logged("malformed packet") > 500);
    drop(bystanders);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(broker.stop(), 0);
}

#[test]
fn giant_packets_are_refused_by_their_first_octets() {
    let broker = Served::start(BrokerOptions::default());
    let mut bystanders = Bystanders::new(&broker);
    for begun in [
        // PUBLISH of 256 MB, SUBSCRIBE of 2 MB, CONNECT of 2 MB.
        &[0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, b't'][..],
        &[0x82, 0x80, 0x80, 0x80, 0x01, 0, 1],
    ] {
        let mut giant = broker.connect("giant");
        giant.write_all(begun).expect("written");
        read_to_end(&mut giant);
        bystanders.work();
    }
    let mut giant = broker.raw();
    giant
        .write_all(&[0x10, 0x80, 0x80, 0x80, 0x01, 0, 4])
        .expect("written");
    read_to_end(&mut giant);
    bystanders.work();
    assert_eq!(broker.logged_at_last("packet too large", 3), 3);
    broker.stop();
}

#[test]
fn what_one_client_asks_for_keeps_no_other_waiting() {
    let broker = Served::start(BrokerOptions::default());
    let mut bystanders = Bystanders::new(&broker);
    // Ten thousand subscriptions that all select one topic, and that topic again and again.
    let mut greedy = broker.connect("greedy");
    for id in 1..=10_u8 {
        let mut body = vec![0, id];
        for number in 0..1_000_u16 {
            // The bits of the number choose between a level and its wildcard.
            let number = u16::from(id) << 10 | number;
            let levels = (0..14).map(|bit| if number >> bit & 1 == 0 { "a" } else { "+" });
            let filter = levels.collect::<Vec<_>>().join("/");
            body.extend((filter.len() as u16).to_be_bytes());
            body.extend(filter.as_bytes());
            body.push(0);
        }
        let length = body.len();
        let mut packet = vec![0x82, (length & 0x7f) as u8 | 0x80];
        packet.extend([(length >> 7) as u8 | 0x80, (length >> 14) as u8]);
        packet.extend(body);
        greedy.write_all(&packet).expect("written");
        read(&mut greedy, 1_000 + 5);
    }
    let topic = ["a"; 14].join("/");
    let mut publish = vec![0x30, topic.len() as u8 + 2, 0, topic.len() as u8];
    publish.extend(topic.as_bytes());
    let storm = publish.repeat(400);
    let writing = std::thread::spawn(move || {
        greedy.write_all(&storm).expect("written");
        greedy
    });
    for _ in 0..5 {
        bystanders.work();
    }
    drop(writing.join().expect("written"));
    broker.stop();
}

/// Descriptors and threads of a process.
#[cfg(target_os = "linux")]
fn held_by(process: u32) -> [usize; 2] {
    ["fd", "task"].map(|what| {
        let folder = format!("/proc/{process}/{what}");
        std::fs::read_dir(folder).expect("a process").count()
    })
}

#[cfg(target_os = "linux")]
#[test]
fn ten_thousand_connections_leave_no_descriptor_and_no_thread() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut broker = Command::new(env!("CARGO_BIN_EXE_mqtt-inspect"))
        .args(["record", "--port", "0", "-o"])
        .arg(folder.path().join("flood.pcapng"))
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program");
    let mut log = std::io::BufReader::new(broker.stderr.take().expect("its log")).lines();
    let port = loop {
        let line = log.next().expect("a line").expect("text");
        if let Some((_, after)) = line.split_once("Broker on port ") {
            let port = after.split(',').next().expect("a number");
            break port.parse::<u16>().expect("a port");
        }
    };
    let reading = std::thread::spawn(move || log.map_while(Result::ok).count());
    let connect = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c";
    let meet = |number: usize| {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a broker");
        // A reset at the end: the ports of ten thousand connections are not kept back.
        let linger = socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO));
        linger.expect("an option of TCP");
        let mut stream = stream;
        let bytes = match number % 5 {
            0 => &connect[..],
            1 => &connect[..7],
            2 => b"GET / HTTP/1.1\r\n\r\n",
            3 => b"\x10\xff\xff\xff\xff\xff",
            _ => b"",
        };
        // The broker may have closed already.
        let _ = stream.write_all(bytes);
        if number.is_multiple_of(10) {
            let _ = stream.read(&mut [0; 4]);
        }
    };
    let settled = |broker: &std::process::Child| {
        std::thread::sleep(Duration::from_millis(2_500));
        held_by(broker.id())
    };
    meet(0);
    let before = settled(&broker);
    (0..10_000).for_each(meet);
    let after = settled(&broker);
    broker.kill().expect("it runs");
    broker.wait().expect("it ran");
    assert_eq!(before, after, "descriptors and threads");
    assert!(reading.join().expect("read") > 10_000);
}

#[test]
fn three_hundred_subscribers_all_get_the_message() {
    let broker = Served::start(BrokerOptions::default());
    let mut all: Vec<_> = (0..300)
        .map(|number| broker.connect(&format!("c{number}")))
        .collect();
    for stream in &mut all {
        stream
            .write_all(&[0x82, 6, 0, 1, 0, 1, b't', 0])
            .expect("written");
        read(stream, 5);
    }
    let mut publisher = broker.connect("publisher");
    publisher
        .write_all(&[0x30, 4, 0, 1, b't', b'x'])
        .expect("written");
    for stream in &mut all {
        assert_eq!(read(stream, 6), [0x30, 4, 0, 1, b't', b'x']);
    }
    broker.stop();
}

#[test]
fn mqtt_js_finds_its_broker() {
    let known = Command::new("node")
        .args(["-e", "require('mqtt')"])
        .output();
    if !tool::needs("MQTT.js", known.is_ok_and(|output| output.status.success())) {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = r#"
const mqtt = require("mqtt");
const url = `mqtt://${process.env.MQTT_HOST.includes(":") ? `[${process.env.MQTT_HOST}]` : process.env.MQTT_HOST}:${process.env.MQTT_PORT}`;
const fail = (why) => { console.error(why); process.exit(1); };
setTimeout(() => fail("nothing for 30 s"), 30000);
async function round(version) {
    const options = (clientId) => ({ clientId, protocolVersion: version, protocolId: version === 3 ? "MQIsdp" : "MQTT", reconnectPeriod: 0 });
    const sub = await mqtt.connectAsync(url, options(`js-sub-${version}`));
    const pub = await mqtt.connectAsync(url, options(`js-pub-${version}`));
    const got = [];
    const all = new Promise((done) => sub.on("message", (topic, payload, packet) => {
        got.push(`${topic} ${payload} ${packet.qos} ${packet.retain}`);
        if (got.length === 10) done();
    }));
    await pub.publishAsync(`js/${version}/kept`, "kept", { qos: 1, retain: true });
    await sub.subscribeAsync(`js/${version}/#`, { qos: 2 });
    for (let i = 0; i < 9; i++) await pub.publishAsync(`js/${version}/${i}`, `${i}`, { qos: i % 3 });
    await all;
    const right = [`js/${version}/kept kept 1 true`];
    for (let i = 0; i < 9; i++) right.push(`js/${version}/${i} ${i} ${i % 3} false`);
    if (got.sort().join() !== right.sort().join()) fail(`${version}: ${got}`);
    await pub.publishAsync(`js/${version}/kept`, "", { qos: 1, retain: true });
    await sub.endAsync(); await pub.endAsync();
}
(async () => { for (const version of [3, 4, 5]) await round(version); process.exit(0); })().catch(fail);
"#;
    let line = ["node", "-e", script].map(OsString::from).to_vec();
    let options = RecordOptions {
        source: Source::Command(line),
        duration: Some(Duration::from_secs(60)),
        ..RecordOptions::default()
    };
    let made = record(folder.path(), "js.pcapng", options);
    assert_eq!(made.status, Some(0), "{:#?}", made.log);
    flawless(&made);
}
