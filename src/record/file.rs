//! The capture file: frames go in whole, and it can be read at every moment.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::RecordError;
use super::options::{CaptureFrom, RecordOptions};
use crate::base::{Precision, Timestamp};
use crate::capture::{Format, LinkType, Writer};

/// Bytes that wait in memory at the most before they are written.
const BUFFER: usize = 1 << 18;

/// How often another name for a temporary file is tried.
const ATTEMPTS: u32 = 1_000;

/// A capture file in the making.
#[derive(Debug)]
pub struct CaptureFile {
    path: PathBuf,
    writer: Writer<Whole>,
    frames: u64,
    /// Frames after which nothing more is kept.
    most: Option<u64>,
}

impl CaptureFile {
    /// Makes the file with its header.
    ///
    /// # Errors
    /// It exists and may not be overwritten, or the system refuses.
    pub fn create(options: &RecordOptions) -> Result<Self, RecordError> {
        let (path, file) = match &options.output {
            Some(path) => (path.clone(), open(path, options.force)?),
            None => open_temporary(options.format)?,
        };
        let format = options.format.unwrap_or_else(|| format_of(&path));
        let link = LinkType(options.link.number());
        let frames_are = match options.capture {
            CaptureFrom::Tee => {
                "the octets, their order, times and ends are those of real sockets on the \
                 loopback interface; TCP/IP headers were made by the tool"
            }
            CaptureFrom::Kernel => "frames of the loopback interface, from the kernel",
        };
        let version = env!("CARGO_PKG_VERSION");
        let comment = format!("Written by mqtt-inspect {version} record: {frames_are}");
        let refused = |error| RecordError::Create {
            path: path.clone(),
            error,
        };
        let whole = Whole::new(file);
        let mut writer =
            Writer::new(whole, format, link, Precision::Nano, Some(&comment)).map_err(refused)?;
        writer.flush().map_err(refused)?;
        Ok(Self {
            path,
            writer,
            frames: 0,
            most: options.frames,
        })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Frames that were kept.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Adds a frame, unless the file has as many as were asked for.
    ///
    /// # Errors
    /// The frame could not be kept: nothing may be forwarded that was not recorded.
    pub fn frame(&mut self, time: Timestamp, bytes: &[u8]) -> io::Result<()> {
        if self.full() {
            return Ok(());
        }
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.writer.write_frame(time, bytes, length, None)?;
        self.frames += 1;
        Ok(())
    }

    /// Whether as many frames as were asked for are kept: nothing more will be.
    pub fn full(&self) -> bool {
        self.most.is_some_and(|most| self.frames >= most)
    }

    /// Brings what is kept to where it outlasts the process.
    ///
    /// # Errors
    /// The error of the file.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

/// Makes the file, or truncates it where `force` allows that.
fn open(path: &Path, force: bool) -> Result<File, RecordError> {
    let mut options = OpenOptions::new();
    options.write(true);
    if force {
        options.create(true).truncate(true);
    } else {
        options.create_new(true);
    }
    options.open(path).map_err(|error| {
        let path = path.to_owned();
        match error.kind() {
            io::ErrorKind::AlreadyExists => RecordError::Exists { path },
            _ => RecordError::Create { path, error },
        }
    })
}

/// Makes a file in the folder for temporary ones, under a name that is not taken.
fn open_temporary(format: Option<Format>) -> Result<(PathBuf, File), RecordError> {
    let ending = match format {
        Some(Format::Pcap) => "pcap",
        _ => "pcapng",
    };
    let folder = std::env::temp_dir();
    let mut attempt = 0;
    loop {
        let name = format!("mqtt-inspect-{}-{attempt}.{ending}", std::process::id());
        let path = folder.join(name);
        attempt += 1;
        match open(&path, false) {
            Ok(file) => return Ok((path, file)),
            Err(RecordError::Exists { .. }) if attempt < ATTEMPTS => {}
            Err(error) => return Err(error),
        }
    }
}

/// By its name: `.pcap` and `.cap` are pcap, everything else is pcapng.
fn format_of(path: &Path) -> Format {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or("");
    if ending.eq_ignore_ascii_case("pcap") || ending.eq_ignore_ascii_case("cap") {
        Format::Pcap
    } else {
        Format::PcapNg
    }
}

/// Buffers whole records. Should the disk fill up in the middle of one, the file is cut back
/// to the last record that is whole.
#[derive(Debug)]
struct Whole {
    file: File,
    buffer: Vec<u8>,
    /// Where the records in `buffer` end.
    ends: Vec<usize>,
    /// Bytes of the file that are whole records.
    length: u64,
}

impl Whole {
    fn new(file: File) -> Self {
        Self {
            file,
            buffer: Vec::with_capacity(BUFFER),
            ends: Vec::new(),
            length: 0,
        }
    }

    /// Writes the buffer to the file.
    fn put(&mut self) -> io::Result<()> {
        let mut written = 0;
        while let Some(rest) = self.buffer.get(written..).filter(|rest| !rest.is_empty()) {
            match self.file.write(rest) {
                Ok(0) => return Err(self.cut_back(written, io::ErrorKind::WriteZero.into())),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.cut_back(written, error)),
            }
        }
        self.length += written as u64;
        self.buffer.clear();
        self.ends.clear();
        Ok(())
    }

    /// Cuts the file back to whole records, `written` bytes of the buffer being in it; returns the
    /// error.
    fn cut_back(&mut self, written: usize, error: io::Error) -> io::Error {
        let ends = self.ends.iter().copied();
        let whole = ends.filter(|&end| end <= written).max().unwrap_or(0);
        self.length += whole as u64;
        self.buffer.clear();
        self.ends.clear();
        // A device cannot be cut; then what it holds stays as it is.
        let _ = self.file.set_len(self.length);
        error
    }
}

impl Write for Whole {
    /// Takes one whole record: the writer of captures hands over each in one call.
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if !self.buffer.is_empty() && self.buffer.len() + record.len() > BUFFER {
            self.put()?;
        }
        self.buffer.extend_from_slice(record);
        self.ends.push(self.buffer.len());
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.put()
    }
}

impl Drop for Whole {
    fn drop(&mut self) {
        // A caller that could still handle a failure has flushed before.
        let _ = self.put();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(path: &Path) -> RecordOptions {
        RecordOptions {
            output: Some(path.to_owned()),
            ..RecordOptions::default()
        }
    }

    #[test]
    fn an_existing_file_is_left_alone_without_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.pcapng");
        std::fs::write(&path, "precious").unwrap();
        let refused = CaptureFile::create(&to(&path)).unwrap_err();
        assert!(matches!(refused, RecordError::Exists { .. }), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        let forced = RecordOptions {
            force: true,
            ..to(&path)
        };
        CaptureFile::create(&forced).unwrap();
        assert_ne!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn the_format_follows_the_name() {
        assert_eq!(format_of(Path::new("a/lab.PCAP")), Format::Pcap);
        assert_eq!(format_of(Path::new("a.pcap/lab")), Format::PcapNg);
        assert_eq!(format_of(Path::new("lab.pcapng")), Format::PcapNg);
    }

    #[test]
    fn nothing_is_kept_beyond_the_number_of_frames_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.pcap");
        let mut file = CaptureFile::create(&RecordOptions {
            frames: Some(2),
            ..to(&path)
        })
        .unwrap();
        for at in 0..5 {
            file.frame(Timestamp::from_nanos(at), &[0; 60]).unwrap();
        }
        file.flush().unwrap();
        assert!(file.full());
        assert_eq!(std::fs::read(&path).unwrap().len(), 24 + 2 * (16 + 60));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_of_its_own() {
        let forced = RecordOptions {
            force: true,
            ..to(Path::new("/dev/full"))
        };
        let error = CaptureFile::create(&forced).unwrap_err();
        assert!(error.to_string().contains("/dev/full"), "{error}");
    }
}
