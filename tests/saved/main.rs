//! Models in files: in other processes, under kills and damage, and of versions before.
#![cfg(feature = "serde")]
#![allow(clippy::unwrap_used, clippy::panic)]

mod cases;
mod damage;
#[cfg(unix)]
mod kills;
mod likelihoods;
mod processes;
mod refusals;
mod stored;

use std::path::PathBuf;

/// A folder of a test that is removed with this.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("mercer-saved-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
