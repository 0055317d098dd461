//! Frames of a live interface, as the kernel takes them: Linux only.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod sys;

#[cfg(not(target_os = "linux"))]
pub use elsewhere::PacketSocket;
#[cfg(target_os = "linux")]
pub use sys::PacketSocket;
