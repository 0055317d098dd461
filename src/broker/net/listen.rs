//! Listening sockets: loopback in both families on one port, or one address asked for.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::TcpListener;

/// How often another free port is tried when the one of IPv4 is taken on IPv6.
const ATTEMPTS: u32 = 32;

/// Why the broker cannot listen.
#[derive(Debug)]
pub enum ListenError {
    /// Another program listens on that port.
    PortInUse { address: IpAddr, port: u16 },
    /// The system refuses for another reason.
    Refused {
        address: SocketAddr,
        error: io::Error,
    },
    /// Neither of the loopback addresses exists.
    NoLoopback,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortInUse { address, port } => write!(
                f,
                "port {port} is in use on {address}: another program, perhaps a broker, listens \
                 there (choose another with --port, or --port 0 for any free one)"
            ),
            Self::Refused { address, error } => write!(f, "cannot listen on {address}: {error}"),
            Self::NoLoopback => f.write_str("this machine has no loopback address to listen on"),
        }
    }
}

impl std::error::Error for ListenError {}

/// The open sockets, and the port that they share.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) sockets: Vec<TcpListener>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) port: u16,
}

/// Listens on 127.0.0.1 and `::1`, or on `bind` alone; port 0 is a free one on both.
pub(super) fn listen(bind: Option<IpAddr>, port: u16) -> Result<Listeners, ListenError> {
    if let Some(address) = bind {
        let socket = open(address, port)?.ok_or(ListenError::NoLoopback)?;
        return Ok(Listeners::of([Some(socket), None], port));
    }
    let mut attempt = 0;
    loop {
        attempt += 1;
        let v4 = open(Ipv4Addr::LOCALHOST.into(), port)?;
        let chosen = v4
            .as_ref()
            .and_then(|socket| socket.local_addr().ok())
            .map_or(port, |address| address.port());
        match open(Ipv6Addr::LOCALHOST.into(), chosen) {
            Err(ListenError::PortInUse { .. }) if port == 0 && attempt < ATTEMPTS => {}
            Err(error) => return Err(error),
            Ok(None) if v4.is_none() => return Err(ListenError::NoLoopback),
            Ok(v6) => return Ok(Listeners::of([v4, v6], chosen)),
        }
    }
}

impl Listeners {
    fn of(sockets: [Option<TcpListener>; 2], port: u16) -> Self {
        let sockets: Vec<_> = sockets.into_iter().flatten().collect();
        let addresses: Vec<_> = sockets.iter().filter_map(|s| s.local_addr().ok()).collect();
        Self {
            port: addresses.first().map_or(port, SocketAddr::port),
            sockets,
            addresses,
        }
    }
}

/// `None` where the machine does not have the address, as with IPv6 switched off.
fn open(address: IpAddr, port: u16) -> Result<Option<TcpListener>, ListenError> {
    let at = SocketAddr::new(address, port);
    match TcpListener::bind(at) {
        Ok(socket) => Ok(Some(socket)),
        Err(error) => match error.kind() {
            io::ErrorKind::AddrInUse => Err(ListenError::PortInUse { address, port }),
            io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported
                if address.is_loopback() =>
            {
                Ok(None)
            }
            _ if address == Ipv6Addr::LOCALHOST && is_no_family(&error) => Ok(None),
            _ => Err(ListenError::Refused { address: at, error }),
        },
    }
}

/// EAFNOSUPPORT: a kernel without IPv6.
fn is_no_family(error: &io::Error) -> bool {
    const LINUX: i32 = 97;
    const MACOS: i32 = 47;
    const WINDOWS: i32 = 10047;
    matches!(error.raw_os_error(), Some(LINUX | MACOS | WINDOWS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_zero_is_one_free_port_in_both_families() {
        let listeners = listen(None, 0).unwrap();
        assert_ne!(listeners.port, 0);
        assert!(
            listeners
                .addresses
                .iter()
                .all(|address| address.port() == listeners.port && address.ip().is_loopback())
        );
    }

    #[test]
    fn a_port_in_use_is_an_error_that_says_so() {
        let first = listen(None, 0).unwrap();
        let second = listen(None, first.port).unwrap_err();
        assert!(second.to_string().contains("is in use"), "{second}");
    }
}
