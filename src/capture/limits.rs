//! How much is read or held of a capture, whatever the capture claims.

use crate::base::limits::Limits;

/// Bytes held in the ordinary case, and asked for in one read. Larger reads gain nothing:
/// 1 GB from the page cache took 0.228 s this way, 0.349 s through a map.
pub const BUFFER: usize = 256 * 1024;

/// The longest frame that is taken for a frame, in bytes: sixteen times what any capture
/// program writes. A record or block that claims more is damaged.
pub const MAX_FRAME: u32 = Limits::DEFAULT.frame_bytes as u32;

/// The limit that libpcap and Wireshark set, in bytes, unless the file's own header states a
/// larger snapshot length.
pub const USUAL_SNAPLEN: u32 = 262_144;

/// The longest pcapng block that is read, in bytes. A block that claims more is damaged.
pub const MAX_BLOCK: u32 = Limits::DEFAULT.block_bytes as u32;

/// The longest section header or interface description, in bytes.
pub const MAX_DESCRIPTION: u32 = 1 << 20;

/// Interfaces of one section that are kept.
pub const MAX_INTERFACES: usize = Limits::DEFAULT.interfaces;

/// The largest window of a zstd frame that is decompressed, in bytes: the limit of the zstd
/// program itself, unless it is asked for more.
pub const MAX_WINDOW: u64 = Limits::DEFAULT.zstd_window as u64;

/// How many times its size compressed data may expand once it has given [`FREE_EXPANSION`]
/// bytes; a capture of nothing but pings stays below 100, a bomb goes far above.
pub const MAX_EXPANSION: u64 = Limits::DEFAULT.expansion as u64;

/// Bytes that compressed data may give whatever its size.
pub const FREE_EXPANSION: u64 = 1 << 30;
