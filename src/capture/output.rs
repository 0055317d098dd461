//! Output files: what was there before is lost only where the user asks for that, and all at once.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often another name for a file beside the output is tried.
const ATTEMPTS: u32 = 1_000;
/// How often the end is looked for while a named pipe has no reader.
const LOOK: Duration = Duration::from_millis(50);
/// How often a full pipe is tried again.
const FULL: Duration = Duration::from_millis(1);
/// How long the reader of a full pipe has, once the end is asked for.
const FAREWELL: Duration = Duration::from_millis(500);

/// The output that the user asks for.
#[derive(Clone, Debug, Default)]
pub struct OutputOptions {
    /// Where it goes.
    pub path: PathBuf,
    /// Whether a regular file that is there is replaced.
    pub force: bool,
    /// Whether only its owner may read a file that is made.
    pub private: bool,
    /// Files that are read, which it must not be: captures, key logs, scripts; `-` is standard
    /// input.
    pub inputs: Vec<OsString>,
}

/// The reason why an output cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub struct OutputError {
    /// The output.
    pub path: PathBuf,
    /// The reason.
    pub why: OutputFault,
}

/// A reason why an output cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputFault {
    /// A regular file is there, and is not to be replaced.
    #[error("exists already; give --force to overwrite it")]
    Exists,
    /// It is a folder.
    #[error("this is a directory; name a file for -o")]
    Directory,
    /// It is a block device.
    #[error("this is a block device, and -o would write over what it holds; name a file")]
    BlockDevice,
    /// It is a link whose target does not exist.
    #[error("this is a link to a file that does not exist; name that file")]
    LinkToNothing,
    /// It is one of the inputs, by whatever name.
    #[error("this is an input file, and -o would write over it; name another")]
    Input,
    /// The end came before the named pipe had a reader.
    #[error("stopped before this pipe had a reader")]
    Stopped,
    /// The system refuses.
    #[error("cannot be written: {0}")]
    Refused(io::Error),
}

/// A kind of file that can be written to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// There is none yet.
    New,
    Regular,
    /// A named pipe or a character device: what is written passes through, and nothing is lost.
    Passage,
}

impl OutputOptions {
    /// Checks that the output may be opened; nothing is changed.
    ///
    /// # Errors
    /// See [`OutputFault`].
    pub fn check(&self) -> Result<(), OutputError> {
        self.kind().map(drop).map_err(|why| self.error(why))
    }

    /// Opens the output. A regular file that is there stays as it is until the output is
    /// [settled](OutputFile::settle).
    ///
    /// A named pipe is waited for until it has a reader, or until `stop` is set; without `stop` the
    /// user's signals end the process.
    ///
    /// # Errors
    /// See [`OutputFault`].
    pub fn open(&self, stop: Option<&Arc<AtomicBool>>) -> Result<OutputFile, OutputError> {
        let opened = self.kind().and_then(|kind| match kind {
            Kind::New => self.create(),
            Kind::Regular => self.beside(),
            Kind::Passage => self.passage(stop),
        });
        opened.map_err(|why| self.error(why))
    }

    fn error(&self, why: OutputFault) -> OutputError {
        let path = self.path.clone();
        OutputError { path, why }
    }

    fn kind(&self) -> Result<Kind, OutputFault> {
        let about = match fs::metadata(&self.path) {
            Ok(about) => about,
            // A link is there, though nothing behind it.
            Err(_) if fs::symlink_metadata(&self.path).is_ok() => {
                return Err(OutputFault::LinkToNothing);
            }
            Err(_) => {
                let folder = self.path.parent().unwrap_or(Path::new(""));
                // A name alone is one in the current folder.
                fs::metadata(Path::new(".").join(folder)).map_err(OutputFault::Refused)?;
                return Ok(Kind::New);
            }
        };
        if about.is_dir() {
            return Err(OutputFault::Directory);
        }
        if self.inputs.iter().any(|input| is_same(&self.path, input)) {
            return Err(OutputFault::Input);
        }
        if is_block_device(&about) {
            return Err(OutputFault::BlockDevice);
        }
        match (about.is_file(), self.force) {
            (true, false) => Err(OutputFault::Exists),
            (true, true) => Ok(Kind::Regular),
            (false, _) => Ok(Kind::Passage),
        }
    }

    /// Makes a file where there was none; one that came there since is left alone.
    fn create(&self) -> Result<OutputFile, OutputFault> {
        let file = create_new(&self.path, self.private).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => OutputFault::Exists,
            _ => OutputFault::Refused(error),
        })?;
        let made = Made {
            path: self.path.clone(),
            target: None,
        };
        Ok(OutputFile::of(file, Some(made)))
    }

    /// Makes a file beside the one that is to be replaced: beside its target, if it is a link.
    fn beside(&self) -> Result<OutputFile, OutputFault> {
        let target = fs::canonicalize(&self.path).map_err(OutputFault::Refused)?;
        let about = fs::metadata(&target).map_err(OutputFault::Refused)?;
        let mut attempt = 0;
        loop {
            let name = format!(".mqtt-inspect-{}-{attempt}", std::process::id());
            let path = target.with_file_name(name);
            attempt += 1;
            match create_new(&path, true) {
                Ok(file) => {
                    take_after(&file, &about, self.private);
                    let target = Some(target);
                    return Ok(OutputFile::of(file, Some(Made { path, target })));
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists && attempt < ATTEMPTS => {}
                Err(error) => return Err(OutputFault::Refused(error)),
            }
        }
    }

    /// Opens what is there, to write to it.
    fn passage(&self, stop: Option<&Arc<AtomicBool>>) -> Result<OutputFile, OutputFault> {
        let mut options = OpenOptions::new();
        options.write(true);
        let Some(stop) = stop else {
            let opened = options.open(&self.path).map_err(OutputFault::Refused)?;
            return Ok(OutputFile::of(opened, None));
        };
        // Neither to open nor to write may wait in the system, where no signal ends it.
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        }
        loop {
            match options.open(&self.path) {
                Ok(file) => {
                    let mut opened = OutputFile::of(file, None);
                    opened.stop = Some(Arc::clone(stop));
                    return Ok(opened);
                }
                Err(error) if !has_no_reader(&self.path, &error) => {
                    return Err(OutputFault::Refused(error));
                }
                Err(_) if stop.load(Ordering::Relaxed) => return Err(OutputFault::Stopped),
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }
}

/// A file that output goes to. Unless it is [settled](Self::settle), a file that was made for it is
/// removed again, and the one to be replaced stays as it was.
#[derive(Debug)]
pub struct OutputFile {
    file: File,
    /// The file that was made, until it is settled.
    made: Option<Made>,
    /// Asks for the end, where the file is a pipe whose reader may not read.
    stop: Option<Arc<AtomicBool>>,
}

/// A file that was made.
#[derive(Debug)]
struct Made {
    path: PathBuf,
    /// The file that it is to replace.
    target: Option<PathBuf>,
}

impl OutputFile {
    fn of(file: File, made: Option<Made>) -> Self {
        let stop = None;
        Self { file, made, stop }
    }

    /// Keeps the file that was made, and puts it into the place of the one that it replaces: at the
    /// first success, so that it can be read while it grows.
    ///
    /// # Errors
    /// The file cannot be replaced; it stays as it was.
    pub fn settle(&mut self) -> io::Result<()> {
        if let Some(Made {
            path,
            target: Some(target),
        }) = &self.made
        {
            // It may have become another kind of file since.
            match fs::symlink_metadata(target) {
                Ok(about) if !about.is_file() => return Err(ErrorKind::AlreadyExists.into()),
                _ => fs::rename(path, target)?,
            }
        }
        self.made = None;
        Ok(())
    }

    /// Cuts the file to `length` bytes.
    ///
    /// # Errors
    /// It is a pipe or a device, or the system refuses.
    pub fn cut(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut until = None;
        loop {
            let error = match self.file.write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => error,
                other => return other,
            };
            // Without `stop` it was not this program that asked not to wait.
            let Some(stop) = &self.stop else {
                return Err(error);
            };
            if stop.load(Ordering::Relaxed) {
                let until = *until.get_or_insert_with(|| Instant::now() + FAREWELL);
                if Instant::now() >= until {
                    return Err(io::Error::new(
                        ErrorKind::TimedOut,
                        "stopped while the reader of this pipe did not read",
                    ));
                }
            }
            std::thread::sleep(FULL);
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        let Some(made) = self.made.take() else {
            return;
        };
        // Only what was made here is removed, not what another program put into its place.
        let own = self.file.metadata().ok();
        let there = fs::symlink_metadata(&made.path).ok();
        if let (Some(own), Some(there)) = (own, there)
            && identity(&own) == identity(&there)
        {
            // Should it not be possible, it stays: harmless.
            let _ = fs::remove_file(&made.path);
        }
    }
}

/// Makes a file that is not there, with an error where it is, as a link to nothing too.
///
/// # Errors
/// Those of the system.
fn create_new(path: &Path, private: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if private {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = private;
    options.open(path)
}

/// Makes a folder that is not there, which only its owner may enter.
///
/// # Errors
/// Those of the system.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// Gives a file the owner and, unless it is private, the permissions of the one that it replaces.
/// Where the system does not allow that, only this program's user can read it.
fn take_after(file: &File, before: &Metadata, private: bool) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let owned = fchown(file, Some(before.uid()), Some(before.gid())).is_ok();
        if owned && !private {
            let _ = file.set_permissions(before.permissions());
        }
    }
    #[cfg(not(unix))]
    let _ = (file, before, private);
}

/// The file that metadata are of, whatever its names: two that are one have the same.
#[cfg(unix)]
fn identity(about: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (about.dev(), about.ino())
}

/// Length and time of making, where there is nothing better.
#[cfg(not(unix))]
fn identity(about: &Metadata) -> (u64, Option<std::time::SystemTime>) {
    (about.len(), about.created().ok())
}

#[cfg(unix)]
fn is_block_device(about: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    about.file_type().is_block_device()
}

#[cfg(not(unix))]
fn is_block_device(_: &Metadata) -> bool {
    false
}

/// Whether a named pipe could not be opened because nothing reads from it. Sockets, and devices that
/// are not there, give the same error.
#[cfg(unix)]
fn has_no_reader(path: &Path, error: &io::Error) -> bool {
    use std::os::unix::fs::FileTypeExt;
    let pipe = || fs::metadata(path).is_ok_and(|about| about.file_type().is_fifo());
    error.raw_os_error() == Some(libc::ENXIO) && pipe()
}

#[cfg(not(unix))]
fn has_no_reader(_: &Path, _: &io::Error) -> bool {
    false
}

/// Returns whether `input`, which may be standard input (`-`), is read from the file `output`: a file,
/// pipe or device is the same whatever its names. A file that does not exist is like no other.
#[cfg(unix)]
pub fn is_same(output: &Path, input: &OsStr) -> bool {
    use std::os::{
        fd::AsFd,
        unix::fs::{FileTypeExt, MetadataExt},
    };
    let input = if input == "-" {
        let descriptor = io::stdin().as_fd().try_clone_to_owned();
        descriptor.and_then(|input| File::from(input).metadata())
    } else {
        fs::metadata(input)
    };
    // A device is its number: there may be several files of one device.
    let device = |about: &Metadata| {
        let kind = about.file_type();
        let device = kind.is_char_device() || kind.is_block_device();
        device.then(|| (kind.is_char_device(), about.rdev()))
    };
    match (fs::metadata(output), input) {
        (Ok(output), Ok(input)) => {
            identity(&output) == identity(&input)
                || device(&output).is_some_and(|one| device(&input) == Some(one))
        }
        _ => false,
    }
}

/// Returns whether `input` is read from the file `output`.
#[cfg(not(unix))]
pub fn is_same(output: &Path, input: &OsStr) -> bool {
    match (fs::canonicalize(output), fs::canonicalize(input)) {
        (Ok(output), Ok(input)) => output == input,
        _ => false,
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn to(path: &Path, force: bool) -> OutputOptions {
        OutputOptions {
            path: path.to_owned(),
            force,
            ..OutputOptions::default()
        }
    }

    fn names(folder: &Path) -> usize {
        fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_new_file_is_there_at_once_and_stays_if_it_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new");
        let mut file = to(&path, false).open(None).unwrap();
        file.write_all(b"some").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"some");
        drop(file);
        assert!(!path.exists());
        to(&path, false).open(None).unwrap().settle().unwrap();
        assert!(path.exists());
    }

    #[test]
    fn an_existing_file_needs_force_and_is_replaced_when_the_output_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = to(&path, false).open(None).unwrap_err();
        assert!(matches!(refused.why, OutputFault::Exists), "{refused}");
        let old = || fs::read(&path).unwrap() == b"old";
        let mut file = to(&path, true).open(None).unwrap();
        file.write_all(b"new").unwrap();
        assert!(old());
        assert_eq!(names(folder.path()), 2);
        drop(file);
        assert!(old());
        assert_eq!(names(folder.path()), 1);
        let mut file = to(&path, true).open(None).unwrap();
        file.settle().unwrap();
        file.write_all(b"new").unwrap();
        drop(file);
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), 1);
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(&path), 0o640);
        let private = OutputOptions {
            private: true,
            ..to(&path, true)
        };
        private.open(None).unwrap().settle().unwrap();
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_link_stays_a_link_and_what_it_leads_to_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        symlink(&file, &link).unwrap();
        for force in [false, true] {
            let refused = to(&link, force).open(None).unwrap_err();
            assert!(matches!(refused.why, OutputFault::LinkToNothing));
        }
        fs::write(&file, "old").unwrap();
        to(&link, true).open(None).unwrap().settle().unwrap();
        assert!(link.is_symlink() && file.is_file());
        assert_eq!(fs::read(&file).unwrap(), b"");
    }

    #[test]
    fn what_came_into_the_place_of_the_output_is_neither_replaced_nor_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old");
        fs::write(&path, "old").unwrap();
        let mut file = to(&path, true).open(None).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(file.settle().is_err());
        drop(file);
        assert!(path.is_dir());
        assert_eq!(names(folder.path()), 1);
        let new = folder.path().join("new");
        let file = to(&new, false).open(None).unwrap();
        fs::remove_file(&new).unwrap();
        fs::write(&new, "of another program").unwrap();
        drop(file);
        assert!(new.exists());
    }

    #[test]
    fn an_output_is_no_input_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let input = place("input");
        fs::write(&input, "x").unwrap();
        fs::hard_link(&input, place("hard")).unwrap();
        symlink(&input, place("soft")).unwrap();
        fs::create_dir(place("folder")).unwrap();
        let refused = |output: &Path, input: &Path| {
            let options = OutputOptions {
                inputs: vec!["elsewhere".into(), input.into()],
                ..to(output, true)
            };
            let error = options.check().err();
            error.is_some_and(|error| matches!(error.why, OutputFault::Input))
        };
        for name in ["input", "./input", "folder/../input", "hard", "soft"] {
            assert!(refused(&place(name), &input), "{name}");
            assert!(refused(&input, &place(name)), "{name}");
        }
        assert!(!refused(&place("other"), &input));
        assert!(refused(Path::new("/dev/null"), Path::new("/dev/null")));
        assert!(!refused(Path::new("/dev/null"), Path::new("/dev/zero")));
        let error = to(&place("folder"), true).check().unwrap_err();
        assert!(matches!(error.why, OutputFault::Directory));
    }

    #[test]
    fn a_device_is_written_to_and_stays() {
        for force in [false, true] {
            let mut file = to(Path::new("/dev/null"), force).open(None).unwrap();
            file.write_all(b"some").unwrap();
            file.settle().unwrap();
        }
        let about = fs::metadata("/dev/null").unwrap();
        assert!(!about.is_file() && !is_block_device(&about));
    }
}
