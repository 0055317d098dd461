//! Listening sockets: loopback in both families on one port, or one address asked for.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mio::net::TcpListener;

/// How often another free port is tried when the one of IPv4 is taken on IPv6.
const ATTEMPTS: u32 = 32;

/// The reason why the broker cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ListenError {
    /// Another program listens on that port.
    #[error(
        "port {port} is in use on {address}: another program, perhaps a broker, listens there (choose \
         another with --port, or --port 0 for any free one)"
    )]
    PortInUse {
        /// The address on which the port is taken.
        address: IpAddr,
        /// The port.
        port: u16,
    },
    /// The system refuses for another reason.
    #[error("cannot listen on {address}: {error}")]
    Refused {
        /// The address and port that were asked for.
        address: SocketAddr,
        /// The system's error.
        error: io::Error,
    },
    /// Neither of the loopback addresses exists.
    #[error("this machine has no loopback address to listen on")]
    NoLoopback,
}

/// The open sockets, and the port that they share.
#[derive(Debug)]
pub(super) struct Listeners {
    pub(super) sockets: Vec<TcpListener>,
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) port: u16,
}

/// Listens on 127.0.0.1 and `::1`, or on the addresses in `bind` alone; port 0 is one that is
/// free on all of them.
pub(super) fn listen(bind: &[IpAddr], port: u16) -> Result<Listeners, ListenError> {
    const LOOPBACK: &[IpAddr] = &[
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
    ];
    let wanted = if bind.is_empty() { LOOPBACK } else { bind };
    let mut attempt = 0;
    loop {
        attempt += 1;
        match listen_on(wanted, port) {
            Err(ListenError::PortInUse { .. }) if port == 0 && attempt < ATTEMPTS => {}
            other => return other,
        }
    }
}

fn listen_on(wanted: &[IpAddr], port: u16) -> Result<Listeners, ListenError> {
    let mut sockets = Vec::new();
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for &address in wanted {
        // A free port chosen for the first address is asked for on the others.
        let port = addresses.first().map_or(port, SocketAddr::port);
        if let Some(socket) = open(address, port)? {
            addresses.extend(socket.local_addr().ok());
            sockets.push(socket);
        }
    }
    let Some(first) = addresses.first() else {
        return Err(ListenError::NoLoopback);
    };
    Ok(Listeners {
        port: first.port(),
        sockets,
        addresses,
    })
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
        let listeners = listen(&[], 0).unwrap();
        assert_ne!(listeners.port, 0);
        assert!(
            listeners
                .addresses
                .iter()
                .all(|address| address.port() == listeners.port && address.ip().is_loopback())
        );
    }

    #[test]
    fn a_port_in_use_is_an_error_that_names_the_reason() {
        let first = listen(&[], 0).unwrap();
        let second = listen(&[], first.port).unwrap_err();
        assert!(second.to_string().contains("is in use"), "{second}");
    }
}
