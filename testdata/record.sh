#!/usr/bin/env bash
# Records testdata/captures anew with mosquitto, its clients and tcpdump (run as root).
# A new run gives other ports and times, so the golden files must be reviewed after it.
set -euo pipefail
cd "$(dirname "$0")/captures"
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT

# A broker on a port of its own; $1 is the port, the rest are lines of its configuration.
broker() {
    local port=$1; shift
    printf '%s\n' "listener $port" "allow_anonymous true" "$@" >"$work/mosquitto.conf"
    mosquitto -c "$work/mosquitto.conf" >/dev/null 2>&1 & broker=$!
    sleep 0.5
}
# $1 is the file; the rest are tcpdump's own arguments.
capture() {
    local file=$1; shift
    tcpdump --immediate-mode -B 16384 -U -w "$file" "$@" >/dev/null 2>&1 & tap=$!
    sleep 0.7
}
done_with() { sleep 0.5; kill -INT "$tap"; wait "$tap" || true; kill "$broker" 2>/dev/null || true; wait "$broker" 2>/dev/null || true; }

lab=(-i any -y LINUX_SLL tcp port 1883)
lo=(-i lo tcp port 1883)

# QoS 1 and 2 as a course's lab has them: IPv6, Linux cooked capture.
for qos in 1 2; do
    broker 1883; capture "qos$qos.pcap" "${lab[@]}"
    mosquitto_sub -h ::1 -q "$qos" -t test >/dev/null & sub=$!; sleep 0.5
    mosquitto_pub -h ::1 -q "$qos" -t test -m 'hello handong'; sleep 0.3
    mosquitto_pub -h ::1 -q "$qos" -t test -m 'hello handong!'; sleep 0.3
    kill "$sub"; done_with
done

broker 1883; capture qos0.pcap "${lo[@]}"
mosquitto_sub -h 127.0.0.1 -t handong -C 1 >/dev/null & sleep 0.4
mosquitto_pub -h 127.0.0.1 -t handong -m hello; sleep 0.3; done_with

broker 1883; capture wildcards.pcap "${lab[@]}"
mosquitto_sub -h ::1 -i first -t 'handong/csee/#' >/dev/null & one=$!
sleep 0.3; mosquitto_sub -h ::1 -i second -t 'handong/+/b' >/dev/null & two=$!; sleep 0.4
for message in handong=1111 handong/csee/a=2222 handong/csee/b=3333 handong/csee/c=4444 handong/csee=55555 handong/mec/a=6666 handong/mec/b=7777; do
    mosquitto_pub -h ::1 -t "${message%%=*}" -m "${message#*=}"
done
sleep 0.3; kill "$one" "$two"; done_with

# The subscriber with the will is killed: a FIN without DISCONNECT.
broker 1883; capture will.pcap "${lab[@]}"
mosquitto_sub -h ::1 -t 'handong/csee/#' --will-topic handong/status --will-payload 'Subscrber #1 is disconnected' >/dev/null & one=$!
sleep 0.3; mosquitto_sub -h ::1 -t handong/status >/dev/null & two=$!; sleep 0.4
mosquitto_pub -h ::1 -t handong/csee/c -m 111; sleep 0.3
kill -9 "$one"; sleep 0.5; kill "$two"; done_with

broker 1883; capture retain.pcap "${lo[@]}"
mosquitto_sub -h 127.0.0.1 -i early -t info/server >/dev/null & one=$!; sleep 0.3
for last in 24 43 49; do mosquitto_pub -h 127.0.0.1 -r -t info/server -m "192.168.120.$last"; done
mosquitto_sub -h 127.0.0.1 -i late -t info/server >/dev/null & two=$!; sleep 0.4
kill "$one" "$two"; done_with

broker 1883; capture offline-queue.pcap "${lo[@]}"
mosquitto_sub -h 127.0.0.1 -i keeper -c -q 1 -t news/# -E; sleep 0.2
for n in 1 2 3; do mosquitto_pub -h 127.0.0.1 -q 1 -t "news/$n" -m "while away $n"; done
mosquitto_sub -h 127.0.0.1 -i keeper -c -q 1 -t news/# -C 3 >/dev/null; done_with

broker 1883; capture v5-properties.pcap "${lo[@]}"
mosquitto_sub -h 127.0.0.1 -V 5 -i v5sub -q 2 -t 'v5/#' -D connect session-expiry-interval 60 -D connect receive-maximum 5 \
    -D subscribe subscription-identifier 7 -C 2 >/dev/null & sleep 0.4
mosquitto_pub -h 127.0.0.1 -V 5 -i v5pub -q 1 -t v5/한동 -m '{"temp":21.5}' -D publish content-type application/json \
    -D publish user-property site lab -D publish user-property site roof -D publish message-expiry-interval 300 \
    -D publish response-topic v5/answer -D publish correlation-data abc -D publish payload-format-indicator 1
mosquitto_pub -h 127.0.0.1 -V 5 -q 2 -t v5/alias -m one -D publish topic-alias 3 --will-topic v5/will --will-payload gone -D will will-delay-interval 5
sleep 0.3; done_with

broker 1883; capture mqtt31.pcap "${lo[@]}"
mosquitto_sub -h 127.0.0.1 -V 31 -i old -u user -P secret -t a -q 1 -C 1 >/dev/null & sleep 0.4
mosquitto_pub -h 127.0.0.1 -V 31 -i oldpub -t a -q 1 -m 'three one'; sleep 0.3; done_with

broker 18830; capture other-port.pcap -i lo tcp port 18830
mosquitto_pub -h 127.0.0.1 -p 18830 -i elsewhere -t t -m x; sleep 0.2; done_with

# MQTT over WebSocket beside bare MQTT: a subscriber in WebSocket (python3-paho-mqtt), a publisher
# without; then by hand a client that breaks rules of the transport.
broker 1883 "listener 9001" "protocol websockets"; capture websocket.pcap -i lo tcp port 1883 or tcp port 9001
python3 - <<'PY'
import os, socket, struct, subprocess, time
import paho.mqtt.client as paho
sub = paho.Client("browser", transport="websockets")
sub.connect("127.0.0.1", 9001); sub.loop_start(); time.sleep(0.3)
sub.subscribe("ws/#", 2); time.sleep(0.2)
publish = ["mosquitto_pub", "-h", "127.0.0.1", "-i", "sensor", "-q", "1", "-t", "ws/a", "-m"]
subprocess.run(publish + ["over two transports"]); time.sleep(0.2)
sub.publish("ws/b", "x" * 300, 2); time.sleep(0.3)
sub.disconnect(); sub.loop_stop(); time.sleep(0.1)

def frame(first, octets):
    key = os.urandom(4)
    return bytes([first, 0x80 | len(octets)]) + key + bytes(o ^ key[i % 4] for i, o in enumerate(octets))
def upgrade(fields):
    s = socket.create_connection(("127.0.0.1", 9001)); s.settimeout(0.3)
    s.sendall((f"GET /mqtt HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + fields + "\r\n").encode())
    try: s.recv(1000)
    except OSError: pass
    return s
s = upgrade("Sec-WebSocket-Protocol: mqttv3.1\r\n")
connect = bytes.fromhex("100f00044d5154540402003c00036f6e65")
s.sendall(frame(0x02, connect[:5])); time.sleep(0.02)
s.sendall(frame(0x89, b"ping")); time.sleep(0.02)
s.sendall(frame(0x80, connect[5:])); time.sleep(0.1)
s.sendall(frame(0x81, bytes.fromhex("30080004") + b"ws/bhi")); time.sleep(0.2)
s.close()
PY
done_with

# MQTT in TLS, its secrets inside the pcapng file: AES-GCM and ChaCha20-Poly1305 of TLS 1.3; AES-GCM and
# AES-CBC (the MAC before the encryption) of TLS 1.2.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$work/key" -out "$work/cert" \
    -days 3650 -subj /CN=localhost 2>/dev/null
chmod 755 "$work"; chmod 644 "$work"/*
broker 1883 "listener 8883" "certfile $work/cert" "keyfile $work/key" "ciphers ALL:@SECLEVEL=0"
capture tls.pcap -i lo tcp port 8883
client() {
    local id=$1; shift
    (printf '\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03%s' "$id"; sleep 0.2
        printf '\x32\x0c\x00\x05tls/a\x00\x07hey'; sleep 0.2; printf '\xe0\x00'; sleep 0.1) |
        openssl s_client -quiet -connect 127.0.0.1:8883 -keylogfile "$work/secrets" "$@" >/dev/null 2>&1 || true
}
client one -tls1_3 -ciphersuites TLS_AES_128_GCM_SHA256
client two -tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256
client 1.2 -tls1_2 -cipher ECDHE-ECDSA-AES256-GCM-SHA384
client cbc -tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256 -no_etm
done_with
editcap --inject-secrets "tls,$work/secrets" tls.pcap tls.pcapng; rm tls.pcap

# Octets written by hand to a real broker: a CONNECT and two PUBLISH one octet a segment; packets
# that break a rule, each on a connection of its own.
broker 1883; capture octet-by-octet.pcap "${lo[@]}"
python3 - <<'PY'
import socket, time
def send(octets, step):
    s = socket.create_connection(("127.0.0.1", 1883)); s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for at in range(0, len(octets), step):
        s.sendall(octets[at:at + step]); time.sleep(0.004)
    time.sleep(0.1); s.close()
connect = bytes.fromhex("100f00044d5154540402003c00036f6e65")
send(connect + bytes.fromhex("30050001616869" "3206000161000761" "e000"), 1)
PY
done_with
broker 1883; capture malformed.pcap "${lo[@]}"
python3 - <<'PY'
import socket, time
connect = bytes.fromhex("100f00044d5154540402003c00036f6e65")
connect5 = bytes.fromhex("101000044d5154540502003c0000036f6e65")
for first, then in [
    (connect, "3605000161000761"),          # QoS 3
    (connect, "30ffffffff7f"),              # Remaining Length of five octets
    (connect, "3005000361ff62"),            # a topic name that is not UTF-8
    (connect, "820600000001 6100"),         # packet identifier 0
    (connect, "3005 0003612f23"),           # a wildcard in a topic name
    (connect5, "300c000161 08 020000000102 000000"),  # property length past the end
    (connect5, "3007 000161 03 230000"),    # topic alias 0
    (connect, connect.hex()),               # a second CONNECT
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""),
]:
    s = socket.create_connection(("127.0.0.1", 1883)); s.settimeout(0.3)
    s.sendall(first)
    try: s.recv(100)
    except OSError: pass
    if then: s.sendall(bytes.fromhex(then))
    time.sleep(0.1)
    try: s.recv(100)
    except OSError: pass
    s.close(); time.sleep(0.05)
PY
done_with

# The same traffic in other wrappings, by Wireshark's own tools.
editcap -F pcapng qos2.pcap qos2.pcapng; gzip -nf9 qos2.pcapng
editcap -F pcap -s 80 retain.pcap snaplen80.pcap
head -c $(($(stat -c %s qos0.pcap) - 20)) qos0.pcap >cut-in-record.pcap
# Frames missing from the capture: the beginning of a connection; one PUBLISH in the middle.
editcap -F pcap qos1.pcap mid-stream.pcap 1-9
lost=$(tshark -r wildcards.pcap -Y 'mqtt.msg == 33:33:33:33 && tcp.srcport == 1883' -T fields -e frame.number | head -1)
editcap -F pcap wildcards.pcap gap.pcap "$lost"
chmod 644 ./*
