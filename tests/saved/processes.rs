//! What was saved, in another process.

use std::path::Path;
use std::process::Command;

use crate::Folder;
use crate::cases::CASES;

const FILE: &str = "MERCER_SAVED_FILE";
const NAME: &str = "MERCER_SAVED_NAME";

fn bits(numbers: &[f64]) -> String {
    numbers.iter().map(|number| format!("{:016x}\n", number.to_bits())).collect()
}

/// Saves a case, loads it in another process, and compares the bits of all numbers.
pub(crate) fn check(name: &str) {
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let folder = Folder::new(name);
    let file = folder.0.join("saved.mercer");
    std::fs::write(&file, (case.bytes)()).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::other", "--ignored"])
        .env(FILE, &file)
        .env(NAME, name)
        .output()
        .unwrap();
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
    let (found, expected) = (std::fs::read_to_string(folder.0.join("bits")).unwrap(), bits(&(case.before)()));
    assert!(expected.lines().count() > 5);
    assert_eq!(found, expected, "{name}");
}

/// The other process.
#[test]
#[ignore = "a test of each model starts it"]
fn other() {
    let (Ok(file), Ok(name)) = (std::env::var(FILE), std::env::var(NAME)) else { return };
    let case = CASES.iter().find(|case| case.name == name).unwrap();
    let numbers = (case.after)(&std::fs::read(&file).unwrap()).unwrap();
    std::fs::write(Path::new(&file).with_file_name("bits"), bits(&numbers)).unwrap();
}
