//! The packet socket of Linux: AF_PACKET (packet(7)). Unsafe code stands here and in
//! `base::plain` alone.

#![expect(
    unsafe_code,
    reason = "AF_PACKET sockets have no safe interface in std"
)]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::AsRawFd;
use std::ptr;
use std::time::Duration;

use libc::c_int;
use socket2::{Domain, Socket, Type};

use crate::base::Timestamp;

/// Bytes that the kernel may hold for the socket: several seconds of loopback traffic.
const RECEIVE_BUFFER: c_int = 64 << 20;
/// The longest frame of the loopback interface: 65,536 bytes and a link-layer header.
const LONGEST: usize = 1 << 17;
/// How long [`PacketSocket::receive`] waits.
const WAIT: Duration = Duration::from_millis(50);
/// Room for the control messages: one timestamp.
const CONTROL: usize = 128;

/// Frames of the loopback interface, each once, with the time the kernel took it.
#[derive(Debug)]
pub struct PacketSocket {
    socket: Socket,
    frame: Vec<u8>,
}

impl PacketSocket {
    /// Opens the loopback interface.
    ///
    /// # Errors
    /// [`io::ErrorKind::PermissionDenied`] without `CAP_NET_RAW`; any other error of the system.
    pub fn open_loopback() -> io::Result<Self> {
        // Without a protocol nothing is received before bind names the interface.
        let domain = Domain::from(libc::AF_PACKET);
        let socket = Socket::new(domain, Type::from(libc::SOCK_RAW), None)?;
        socket.set_read_timeout(Some(WAIT))?;
        set(&socket, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        // Each frame of loopback is seen leaving and arriving; once is enough.
        set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
        // Without CAP_NET_ADMIN the ordinary limit holds.
        let (level, bytes) = (libc::SOL_SOCKET, RECEIVE_BUFFER);
        let forced = set(&socket, level, libc::SO_RCVBUFFORCE, bytes);
        forced.or_else(|_| set(&socket, level, libc::SO_RCVBUF, bytes))?;
        // SAFETY: the argument is a string that ends in NUL.
        let interface = unsafe { libc::if_nametoindex(c"lo".as_ptr()) };
        if interface == 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: all bytes zero is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as libc::c_ushort;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = interface as c_int;
        let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        let place = ptr::from_ref(&address).cast();
        // SAFETY: `address` is a sockaddr_ll of the stated size and outlives the call.
        check(unsafe { libc::bind(socket.as_raw_fd(), place, length) })?;
        let frame = vec![0; LONGEST];
        Ok(Self { socket, frame })
    }

    /// Returns the next frame, with the time the kernel took it; `None` when none came for
    /// 50 ms.
    ///
    /// # Errors
    /// Those of the system, as when the interface went away.
    pub fn receive(&mut self) -> io::Result<Option<(Timestamp, &[u8])>> {
        let mut control = [0_u64; CONTROL / 8];
        let mut part = libc::iovec {
            iov_base: self.frame.as_mut_ptr().cast(),
            iov_len: self.frame.len(),
        };
        // SAFETY: all bytes zero is a valid msghdr.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = CONTROL as _;
        // SAFETY: `message` points at `part` and `control`, and `part` at `self.frame`; all
        // are of the stated lengths and outlive the call.
        let length = unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut message, 0) };
        let Ok(length) = usize::try_from(length) else {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
                _ => Err(error),
            };
        };
        let time = timestamp(&message);
        Ok(Some((time, self.frame.get(..length).unwrap_or_default())))
    }

    /// Returns how many frames the kernel dropped since the last call, as its buffer was full.
    pub fn dropped(&self) -> u64 {
        // SAFETY: all bytes zero is a valid tpacket_stats.
        let mut seen: libc::tpacket_stats = unsafe { zeroed() };
        let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: `seen` is of the stated length and outlives the call.
        let got = unsafe {
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut seen).cast(),
                &raw mut length,
            )
        };
        if got < 0 { 0 } else { seen.tp_drops.into() }
    }
}

/// The control message that SO_TIMESTAMPNS adds; the epoch where there is none.
///
/// Its data follow its header, so both are read through the one pointer into the control buffer: a
/// reference to the header would give access to the header alone.
fn timestamp(message: &libc::msghdr) -> Timestamp {
    // SAFETY: `message` was filled in by recvmsg, so its control messages are well formed;
    // CMSG_FIRSTHDR gives null or the first of them.
    let first = unsafe { libc::CMSG_FIRSTHDR(message) };
    if first.is_null() {
        return Timestamp::default();
    }
    // SAFETY: `first` points at a cmsghdr within the control buffer, which is aligned for it.
    let header = unsafe { first.read() };
    // SAFETY: the macro only computes a length.
    let least = unsafe { libc::CMSG_LEN(size_of::<libc::timespec>() as libc::c_uint) };
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS)
        || (header.cmsg_len as usize) < least as usize
    {
        return Timestamp::default();
    }
    // SAFETY: `first` may be used for the whole control buffer, in which a timespec, perhaps not
    // aligned, follows this header, as its length shows.
    let time: libc::timespec = unsafe { ptr::read_unaligned(libc::CMSG_DATA(first).cast()) };
    let (seconds, nanos) = (wide(time.tv_sec), wide(time.tv_nsec));
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// The fields of a timespec are 32 bits wide on some targets.
fn wide(number: impl Into<i64>) -> i64 {
    number.into()
}

fn set(socket: &Socket, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let place = ptr::from_ref(&value).cast();
    let length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `value` is an int, of the stated size, and outlives the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, place, length) })
}

/// The outcome of a system call that returns less than 0 where it fails.
fn check(result: c_int) -> io::Result<()> {
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The time that is read where the kernel gave one control message of this type and length.
    fn read(kind: c_int, data: usize) -> Timestamp {
        let mut control = [0_u64; CONTROL / 8];
        let place: *mut u8 = control.as_mut_ptr().cast();
        // SAFETY: all bytes zero is a valid msghdr.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_control = place.cast();
        message.msg_controllen = CONTROL as _;
        let time = libc::timespec {
            tv_sec: 5,
            tv_nsec: 7,
        };
        // SAFETY: the control buffer is aligned for a cmsghdr and has room for it and a timespec.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_len = libc::CMSG_LEN(data as libc::c_uint) as _;
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = kind;
            ptr::write_unaligned(libc::CMSG_DATA(header).cast(), time);
        }
        timestamp(&message)
    }

    #[test]
    fn a_time_is_read_from_a_whole_control_message_of_its_type_only() {
        let whole = size_of::<libc::timespec>();
        let time = Timestamp::from_nanos(5_000_000_007);
        assert_eq!(read(libc::SCM_TIMESTAMPNS, whole), time);
        assert_eq!(read(libc::SCM_TIMESTAMPNS, whole - 1), Timestamp::default());
        assert_eq!(read(libc::SCM_RIGHTS, whole), Timestamp::default());
        // SAFETY: all bytes zero is a valid msghdr.
        let none: libc::msghdr = unsafe { zeroed() };
        assert_eq!(timestamp(&none), Timestamp::default());
    }
}
