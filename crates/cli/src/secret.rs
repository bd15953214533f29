//! Passwords, as people give them to a command: they print as nothing, and a file that others can read is refused.

use core::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A text that holds a password; it prints as nothing.
#[derive(Clone)]
pub(crate) struct Secret(Box<str>);

impl Secret {
    /// Takes whatever there is: what is wrong with it is told later, without showing it.
    #[expect(clippy::unnecessary_wraps, reason = "the parser of an argument can fail")]
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        Ok(Self(text.into()))
    }

    /// The text.
    pub(crate) const fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a file of passwords is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SecretError {
    #[error("the passwords in {} cannot be read: {why}", .file.display())]
    Unreadable { file: PathBuf, why: io::Error },
    #[error("{} holds passwords, and others can read or change it (mode {mode:o}); run: chmod 600 {}", .file.display(), .file.display())]
    Exposed { file: PathBuf, mode: u32 },
    #[error("{} is longer than {} bytes; is it a file of passwords?", .0.display(), LONGEST)]
    TooLong(PathBuf),
}

/// The longest file of passwords, in bytes: far more than any table of users holds.
const LONGEST: u64 = 64 << 20;

/// Reads a file that only its owner, and perhaps its group, may read.
pub(crate) fn read(path: &Path) -> Result<Secret, SecretError> {
    let unreadable = |why| SecretError::Unreadable { file: path.into(), why };
    let file = File::open(path).map_err(unreadable)?;
    // Asked of the file that was opened, not of the name: that may be another one by now.
    let metadata = file.metadata().map_err(unreadable)?;
    if let Some(mode) = exposed(&metadata) {
        return Err(SecretError::Exposed { file: path.into(), mode });
    }
    let mut text = String::new();
    let read = file.take(LONGEST + 1).read_to_string(&mut text).map_err(unreadable)?;
    if u64::try_from(read).is_ok_and(|read| read > LONGEST) {
        return Err(SecretError::TooLong(path.into()));
    }
    Ok(Secret(text.into()))
}

/// The permissions of a file that others than its owner and group can read, or others than its owner can change.
///
/// A pipe has no others: it is there for this process.
#[cfg(unix)]
fn exposed(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = metadata.permissions().mode() & 0o777;
    (metadata.is_file() && mode & 0o027 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn exposed(_: &Metadata) -> Option<u32> {
    None
}
