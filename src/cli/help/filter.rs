//! `help filter`: how packets are selected.

/// The text of the topic.
pub(super) const TEXT: &str = "\
Three options select what a view shows; a packet has to pass all that are given.

  --topic FILTER
      Packets that carry a topic which this topic filter takes, by MQTT's own
      wildcard rules, and the packets that acknowledge them. A topic alias
      counts as the topic that it stands for. SUBSCRIBE and UNSUBSCRIBE pass
      where one of their filters shares a topic with FILTER. A filter that
      begins with a wildcard takes no topic that begins with $.

  --client ID
      Packets of the connections whose client identifier is ID.

  --type TYPE,...
      Packets of these types: PUBLISH, the words of the Info column (\"Publish
      Ack\"), or the type's number.

Handshakes, wills and retained messages pass where one of their packets or
deliveries does, findings where they are about the client.

  mqtt-inspect --topic 'sensor/+/state' --type PUBLISH capture.pcap
  mqtt-inspect --client pump-7 --flow qos1,qos2 capture.pcap

There is no display filter (-Y) yet.
";
