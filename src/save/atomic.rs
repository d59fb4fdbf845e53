//! Files that are there whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

/// Puts bytes where a file is or is to be: whoever looks, at any moment, finds the old file or the new one, whole.
///
/// They are written to a file beside it, which takes its name when the disk has it. A process that is killed meanwhile
/// may leave the file beside, `.name.….part`, which nothing reads.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // What a link stands for is replaced, not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (beside, mut file) = create_beside(&path)?;
    let done = fill(&mut file, bytes, &path).and_then(|()| {
        drop(file);
        fs::rename(&beside, &path)
    });
    if done.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(&beside);
        return done;
    }
    sync_folder(&path)
}

fn fill(file: &mut File, bytes: &[u8], path: &Path) -> io::Result<()> {
    file.write_all(bytes)?;
    if let Ok(old) = fs::metadata(path) {
        file.set_permissions(old.permissions())?;
    }
    file.sync_all()
}

/// A new file in the same folder, so on the same disk, that no other process or thread writes to.
fn create_beside(path: &Path) -> io::Result<(PathBuf, File)> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let Some(name) = path.file_name() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path has no file name"));
    };
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let beside = path.with_file_name(format!(".{}.{}-{count}.part", name.to_string_lossy(), process::id()));
        match OpenOptions::new().write(true).create_new(true).open(&beside) {
            Ok(file) => return Ok((beside, file)),
            // Of a process of the same number that was killed.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Has the disk know the new name too.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Folders are not files elsewhere.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn files_are_replaced_and_nothing_is_left_beside() {
        let folder = std::env::temp_dir().join(format!("mercer-atomic-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("file");
        for bytes in [b"old".as_slice(), b"new"] {
            replace(&path, bytes).unwrap();
            assert_eq!(fs::read(&path).unwrap(), bytes);
        }
        assert!(replace(&folder, b"a folder").is_err());
        assert!(replace(&folder.join("none").join("file"), b"").is_err());
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["file"]);
        fs::remove_dir_all(&folder).unwrap();
    }
}
