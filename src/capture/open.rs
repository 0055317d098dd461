//! Captures by their names: files, pipes, standard input.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};
use std::path::PathBuf;

use super::codec::Origin;
use super::error::{CaptureError, Fault};
use super::reader::Reader;

/// A pipe, which announces each read that may wait for its writer.
struct Pipe<'a, R> {
    source: R,
    waiting: &'a dyn Fn(),
}

impl<R: Read> Read for Pipe<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        (self.waiting)();
        self.source.read(into)
    }
}

/// A file that is opened when it is first read.
enum Later {
    Named(PathBuf),
    Open(File),
}

impl Read for Later {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Self::Named(name) = self {
            *self = Self::Open(File::open(name)?);
        }
        match self {
            Self::Open(file) => file.read(into),
            Self::Named(_) => Ok(0),
        }
    }
}

/// Opens a capture: the name of a file or named pipe, or `-` for standard input. Nothing is
/// read before the first item is asked for.
///
/// `waiting` is called before every read of a pipe or of standard input, which may wait for
/// a writer: so that what is held back only for speed can be shown.
///
/// # Errors
/// [`Fault::Missing`], [`Fault::Directory`], [`Fault::Permission`], [`Fault::Terminal`], or
/// any other error of the system.
pub fn open<'a>(
    name: impl AsRef<OsStr>,
    waiting: &'a dyn Fn(),
) -> Result<Reader<'a>, CaptureError> {
    let name = name.as_ref();
    if name == "-" {
        let (name, source) = ("standard input", io::stdin());
        if source.is_terminal() {
            return Err(CaptureError::new(name, Fault::Terminal, None));
        }
        return Ok(Reader::new(Pipe { source, waiting }, name));
    }
    let shown = name.to_string_lossy().into_owned();
    let wrong = |error: io::Error| {
        let fault = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Fault::Missing,
            ErrorKind::PermissionDenied => Fault::Permission,
            _ => Fault::of_source(error),
        };
        CaptureError::new(&shown, fault, None)
    };
    // A system may open a directory, or refuse to: either way it is a directory.
    if std::path::Path::new(name).is_dir() {
        return Err(wrong(ErrorKind::IsADirectory.into()));
    }
    let file = File::open(name).map_err(wrong)?;
    let about = file.metadata().map_err(wrong)?;
    if about.is_file() {
        // A file never waits for a writer, so nothing is lost when another thread reads it. Of many
        // only those that are read are open at a time.
        let file = Later::Named(name.into());
        return Ok(Reader::of(Origin::Anywhere(Box::new(file)), shown));
    }
    let source = file;
    Ok(Reader::new(Pipe { source, waiting }, shown))
}

/// Whether a capture of this name can be opened, as far as that shows without taking anything from a
/// pipe.
pub fn can_be_opened(name: impl AsRef<OsStr>) -> bool {
    let name = name.as_ref();
    if name == "-" {
        return !io::stdin().is_terminal();
    }
    match std::fs::metadata(name) {
        Ok(about) if about.is_file() => File::open(name).is_ok(),
        Ok(about) => !about.is_dir(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_named_plainly() {
        let folder = tempfile::tempdir().unwrap();
        let error = |path: &std::path::Path| open(path, &|| {}).err().unwrap();
        assert!(matches!(error(folder.path()).fault(), Fault::Directory));
        let missing = folder.path().join("none.pcap");
        assert!(matches!(error(&missing).fault(), Fault::Missing));
        assert!(
            error(&missing)
                .to_string()
                .ends_with("there is no such file; check the name")
        );
        let file = folder.path().join("a.pcap");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(error(&file.join("below")).fault(), Fault::Missing));
    }

    #[test]
    fn a_file_that_is_no_capture_is_named_in_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pcap");
        std::fs::write(&file, "hello").unwrap();
        let mut reader = open(&file, &|| {}).unwrap();
        let error = reader.next_item().unwrap_err();
        assert!(error.name().ends_with("a.pcap"));
        assert!(matches!(error.fault(), Fault::NotACapture(_)));
        assert!(reader.next_item().unwrap().is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_is_open_only_while_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pcap");
        std::fs::write(&file, "hello").unwrap();
        let file = file.canonicalize().unwrap();
        let is_open = || {
            let open = std::fs::read_dir("/proc/self/fd").unwrap();
            let mut links = open.filter_map(|link| std::fs::read_link(link.unwrap().path()).ok());
            links.any(|link| link == file)
        };
        let mut reader = open(&file, &|| {}).unwrap();
        assert!(!is_open());
        assert!(reader.next_item().is_err());
        assert!(is_open());
        drop(reader);
        assert!(!is_open());
    }

    #[cfg(unix)]
    #[test]
    fn a_named_file_may_be_a_device() {
        let error = open("/dev/null", &|| {})
            .unwrap()
            .next_item()
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("/dev/null: empty file"), "{error}");
    }
}
