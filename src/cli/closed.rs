//! Whether standard output was closed (`>&-`) when the program started.
//!
//! Rust's runtime opens /dev/null in its place before `main` runs, so that an answer would be lost
//! without an error. Only a function that runs before the runtime does can see it.

#![cfg_attr(
    target_os = "linux",
    expect(
        unsafe_code,
        reason = "no safe code runs before the runtime of the standard library"
    )
)]

#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(target_os = "linux")]
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Runs before `main`: the loader calls what stands in this section.
// SAFETY: the section holds pointers to functions of this form, and the function needs nothing that the
// runtime has yet to set up.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = look;

#[cfg(target_os = "linux")]
extern "C" fn look() {
    // SAFETY: the call asks for the flags of a descriptor, open or not, and changes nothing.
    let flags = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) };
    CLOSED.store(flags < 0, Ordering::Relaxed);
}

/// Whether standard output was closed when the program started; always `false` where the system is not
/// Linux.
pub(super) fn standard_output() -> bool {
    #[cfg(target_os = "linux")]
    return CLOSED.load(Ordering::Relaxed);
    #[cfg(not(target_os = "linux"))]
    false
}
