//! The capture file: frames go in whole, and it can be read at every moment.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::error::RecordError;
use super::options::{CaptureFrom, RecordOptions};
use crate::base::{Precision, Timestamp};
use crate::capture::{Format, LinkType, OutputFile, OutputOptions, Writer, create_private_folder};

/// Bytes that wait in memory at the most before they are written.
const BUFFER: usize = 1 << 18;

/// How often another name for a temporary folder is tried.
const ATTEMPTS: u32 = 1_000;

/// A capture file in the making.
#[derive(Debug)]
pub struct CaptureFile {
    path: PathBuf,
    writer: Writer<Whole>,
    frames: u64,
    /// Frames after which nothing more is kept.
    most: Option<u64>,
    /// The folder of a capture for which no name was given. After the writer, so that it is removed
    /// when its file is closed.
    temporary: Option<TemporaryFolder>,
}

impl CaptureFile {
    /// Makes the file with its header.
    ///
    /// # Errors
    /// It exists and may not be overwritten, or the system refuses.
    pub fn create(options: &RecordOptions) -> Result<Self, RecordError> {
        let (output, temporary) = match &options.output {
            Some(path) => (output(options, path), None),
            None => {
                let folder = TemporaryFolder::create()?;
                let path = folder.path.join(match options.format {
                    Some(Format::Pcap) => "record.pcap",
                    _ => "record.pcapng",
                });
                (output(options, &path), Some(folder))
            }
        };
        let file = output.open(Some(&options.stop))?;
        let path = output.path;
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
            temporary,
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

    /// Brings what is kept to where it outlasts the process. With the first frame the file takes the
    /// place of the one that it replaces.
    ///
    /// # Errors
    /// The error of the file.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()?;
        if self.frames > 0 {
            self.writer.inner_mut().file.settle()?;
        }
        Ok(())
    }

    /// Ends the file. A failed recording of no frame leaves what was there before, and a temporary
    /// capture goes with the recording that failed. Returns whether there is a file with what was
    /// recorded.
    ///
    /// # Errors
    /// The error of the file.
    pub(super) fn finish(mut self, succeeded: bool) -> io::Result<bool> {
        self.flush()?;
        if succeeded {
            self.writer.inner_mut().file.settle()?;
            if let Some(folder) = &mut self.temporary {
                folder.kept = true;
            }
        }
        let has_frames = self.frames > 0 && self.temporary.is_none();
        Ok(self.path.is_file() && (succeeded || has_frames))
    }

    /// Whether no name was given for it.
    pub(super) fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }
}

/// The output at `path`, which only its owner may read: it holds what all clients sent.
fn output(options: &RecordOptions, path: &Path) -> OutputOptions {
    OutputOptions {
        path: path.to_owned(),
        force: options.force,
        private: true,
        inputs: options.inputs.clone(),
    }
}

/// A folder of its own for one capture, removed with it unless it is kept.
#[derive(Debug)]
struct TemporaryFolder {
    path: PathBuf,
    kept: bool,
}

impl TemporaryFolder {
    /// Makes a folder among the temporary files, under a name that is not taken.
    fn create() -> Result<Self, RecordError> {
        let among = std::env::temp_dir();
        let mut attempt = 0;
        loop {
            let name = format!("mqtt-inspect-{}-{attempt}", std::process::id());
            let path = among.join(name);
            attempt += 1;
            match create_private_folder(&path) {
                Ok(()) => return Ok(Self { path, kept: false }),
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS => {}
                Err(error) => return Err(RecordError::Create { path, error }),
            }
        }
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        if !self.kept {
            // Should it not be possible, it stays: harmless.
            let _ = std::fs::remove_dir_all(&self.path);
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
    file: OutputFile,
    buffer: Vec<u8>,
    /// Where the records in `buffer` end.
    ends: Vec<usize>,
    /// Bytes of the file that are whole records.
    length: u64,
}

impl Whole {
    fn new(file: OutputFile) -> Self {
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
        let _ = self.file.cut(self.length);
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
        assert!(refused.to_string().contains("--force"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[test]
    fn a_file_is_replaced_with_the_first_frame_or_at_the_end_of_a_success() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.pcapng");
        let forced = RecordOptions {
            force: true,
            ..to(&path)
        };
        let precious = || std::fs::read(&path).unwrap() == b"precious";
        let entries = || std::fs::read_dir(folder.path()).unwrap().count();
        for (frames, succeeded, replaced) in [(0, false, false), (0, true, true), (1, false, true)]
        {
            std::fs::write(&path, "precious").unwrap();
            let mut file = CaptureFile::create(&forced).unwrap();
            file.flush().unwrap();
            assert!(precious());
            for _ in 0..frames {
                file.frame(Timestamp::default(), &[0; 60]).unwrap();
                file.flush().unwrap();
                assert!(!precious());
            }
            file.finish(succeeded).unwrap();
            assert_eq!(precious(), !replaced, "{frames} {succeeded}");
            assert_eq!(entries(), 1);
        }
    }

    #[test]
    fn a_new_file_without_a_frame_goes_with_the_recording_that_failed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lab.pcapng");
        CaptureFile::create(&to(&path))
            .unwrap()
            .finish(false)
            .unwrap();
        assert!(!path.exists());
        let file = CaptureFile::create(&to(&path)).unwrap();
        // Another program put its own file there.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        drop(file);
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }

    #[cfg(unix)]
    #[test]
    fn a_temporary_capture_is_private_and_kept_by_a_success_only() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        for succeeded in [true, false] {
            let file = CaptureFile::create(&RecordOptions::default()).unwrap();
            let path = file.path().to_owned();
            let folder = path.parent().unwrap();
            assert_eq!((mode(&path), mode(folder)), (0o600, 0o700));
            file.finish(succeeded).unwrap();
            assert_eq!(folder.exists(), succeeded);
            if succeeded {
                std::fs::remove_dir_all(folder).unwrap();
            }
        }
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
        assert!(Path::new("/dev/full").exists());
    }
}
