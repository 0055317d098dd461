//! Captures by their names: files, pipes, standard input.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, IsTerminal, Read};

use super::{CaptureError, Fault, Reader};

/// A file, pipe or standard input that holds a capture.
pub struct Source<'a> {
    from: From,
    length: Option<u64>,
    /// Called before a read that may wait: of a pipe or standard input.
    waiting: Option<&'a dyn Fn()>,
}

#[derive(Debug)]
enum From {
    File(File),
    Stdin(io::Stdin),
}

impl Source<'_> {
    /// Bytes of the file; `None` for a pipe. A file that is still written may grow.
    pub fn length(&self) -> Option<u64> {
        self.length
    }
}

impl Read for Source<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(waiting) = self.waiting {
            waiting();
        }
        match &mut self.from {
            From::File(file) => file.read(into),
            From::Stdin(stdin) => stdin.read(into),
        }
    }
}

/// Opens a capture: the name of a file or named pipe, or `-` for standard input. What it
/// holds is looked at when the first item is asked for.
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
) -> Result<Reader<Source<'a>>, CaptureError> {
    let name = name.as_ref();
    if name == "-" {
        return standard_input(waiting);
    }
    let shown = name.to_string_lossy().into_owned();
    let wrong = |error: io::Error| {
        let fault = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => Fault::Missing,
            ErrorKind::PermissionDenied => Fault::Permission,
            ErrorKind::IsADirectory => Fault::Directory,
            _ => Fault::Io(error),
        };
        CaptureError::unopened(&shown, fault)
    };
    // A system may open a directory, or refuse to: either way it is a directory.
    let file = match File::open(name) {
        Ok(file) => file,
        Err(_) if std::path::Path::new(name).is_dir() => {
            return Err(wrong(ErrorKind::IsADirectory.into()));
        }
        Err(error) => return Err(wrong(error)),
    };
    let about = file.metadata().map_err(wrong)?;
    if about.is_dir() {
        return Err(wrong(ErrorKind::IsADirectory.into()));
    }
    let length = about.is_file().then_some(about.len());
    let source = Source {
        from: From::File(file),
        length,
        waiting: length.is_none().then_some(waiting),
    };
    // A file never waits for a writer, so nothing is lost when another thread reads it.
    Ok(Reader::apart(source, shown, |source| match source {
        Source {
            from: From::File(file),
            waiting: None,
            ..
        } => Ok(Box::new(file)),
        source => Err(source),
    }))
}

fn standard_input(waiting: &dyn Fn()) -> Result<Reader<Source<'_>>, CaptureError> {
    let name = "standard input";
    let stdin = io::stdin();
    if stdin.is_terminal() {
        return Err(CaptureError::unopened(name, Fault::Terminal));
    }
    let source = Source {
        from: From::Stdin(stdin),
        length: None,
        waiting: Some(waiting),
    };
    Ok(Reader::new(source, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_said_plainly() {
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
    fn a_file_is_read_and_knows_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.pcap");
        std::fs::write(&file, "hello").unwrap();
        let mut reader = open(&file, &|| {}).unwrap();
        assert_eq!(reader.source().unwrap().length(), Some(5));
        let error = reader.next_item().unwrap_err();
        assert!(error.name().ends_with("a.pcap"));
        assert!(matches!(error.fault(), Fault::NotACapture(_)));
        assert!(reader.next_item().unwrap().is_none());
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
