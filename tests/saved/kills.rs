//! A process that is killed while it saves leaves the old file or the new one.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mercer::gp::Posterior;
use mercer::prelude::*;
use mercer::save::{Save, load};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64;

use crate::Folder;

const FILE: &str = "MERCER_KILLED_FILE";
const KILLS: usize = 200;

/// One of two that are as large as some hundred kilobytes, told by its noise.
fn posterior(noise: f64) -> Posterior<f64> {
    let x = Mat::from_fn(200, 1, |row, _| 0.1 * row as f64);
    let y: Vec<f64> = (0..200).map(|row| (0.1 * row as f64).sin()).collect();
    let gp = mercer::gp::ExactGp::new(Rbf::new(1.0).dynamic()).with_noise(noise).unwrap();
    gp.condition(&Data::new(&x, &y)).unwrap()
}

fn mean(posterior: &Posterior<f64>) -> u64 {
    posterior.predict(mat![[3.3]].as_ref()).unwrap().mean[(0, 0)].to_bits()
}

#[test]
fn kills_leave_whole_files() {
    let folder = Folder::new("kills");
    let file = folder.0.join("posterior.mercer");
    let both = [posterior(0.1), posterior(0.2)];
    let means = both.each_ref().map(mean);
    both[0].save(&file).unwrap();
    let mut rng = Pcg64::seed_from_u64(11);
    let (mut seen, mut left) = ([0; 2], 0);
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::saves_for_ever", "--ignored"])
            .env(FILE, &file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It saves: the file changes, or there is one beside it.
        let started = Instant::now();
        let beside = || std::fs::read_dir(&folder.0).unwrap().count() > 1;
        while !beside() && started.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(Duration::from_micros(rng.random_range(0..8_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let read: Posterior<f64> = load(&file).unwrap_or_else(|error| panic!("after kill {kill}: {error}"));
        let which = means.iter().position(|&known| known == mean(&read));
        seen[which.unwrap_or_else(|| panic!("another posterior after kill {kill}"))] += 1;
        for entry in std::fs::read_dir(&folder.0).unwrap() {
            let path = entry.unwrap().path();
            if path != file {
                std::fs::remove_file(path).unwrap();
                left += 1;
            }
        }
    }
    // Some kills came in the middle of a save, and both files were there.
    assert!(left > KILLS / 20 && seen.iter().all(|&count| count > 0), "{left} files were left beside, {seen:?}");
}

/// The process that is killed.
#[test]
#[ignore = "the test of kills starts it"]
fn saves_for_ever() {
    let Ok(file) = std::env::var(FILE) else { return };
    let both = [posterior(0.1), posterior(0.2)];
    loop {
        both.iter().for_each(|posterior| posterior.save(&file).unwrap());
    }
}
