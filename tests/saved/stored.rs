//! Files that versions of this crate have written, which all later ones read.

use std::path::PathBuf;

use serde_json::Value;

use crate::cases::CASES;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join("saved").join("files")
}

/// Numbers that two machines agree on, to what is lost where their instructions differ.
fn agree(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-6 * a.abs().max(b.abs()) + 1e-9 || (a.is_nan() && b.is_nan())
}

#[test]
fn files_of_all_versions_are_read() {
    let mut read = 0;
    for entry in std::fs::read_dir(folder()).unwrap() {
        let version = entry.unwrap().path();
        if !version.is_dir() {
            continue;
        }
        let expected: Value =
            serde_json::from_str(&std::fs::read_to_string(version.join("expected.json")).unwrap()).unwrap();
        for (name, expected) in expected.as_object().unwrap() {
            let case = CASES.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("no case {name}"));
            let bytes = std::fs::read(version.join(format!("{name}.mercer"))).unwrap();
            let found = (case.after)(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            let expected: Vec<f64> =
                expected.as_array().unwrap().iter().map(|value| value.as_f64().unwrap_or(f64::NAN)).collect();
            assert_eq!(found.len(), expected.len(), "{name}");
            let differs = found.iter().zip(&expected).position(|(&a, &b)| !agree(a, b));
            assert!(
                differs.is_none(),
                "{name} at {differs:?}: {} {}",
                found[differs.unwrap()],
                expected[differs.unwrap()]
            );
            read += 1;
        }
    }
    assert!(read >= CASES.len(), "{read} files of {} cases", CASES.len());
}

/// Writes the files of this version: once for each version, before it is released.
#[test]
#[ignore = "writes the files of this version"]
fn write() {
    let version = folder().join(env!("CARGO_PKG_VERSION"));
    std::fs::create_dir_all(&version).unwrap();
    let mut expected = serde_json::Map::new();
    for case in CASES {
        std::fs::write(version.join(format!("{}.mercer", case.name)), (case.bytes)()).unwrap();
        expected.insert(case.name.to_owned(), (case.before)().into());
    }
    std::fs::write(version.join("expected.json"), Value::Object(expected).to_string() + "\n").unwrap();
}
