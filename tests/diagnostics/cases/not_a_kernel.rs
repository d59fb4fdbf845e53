//! A number is no kernel.
use mercer::gp::ExactGp;
use mercer::prelude::*;

fn main() {
    let _ = ExactGp::new(1.0).with_noise(0.1);
    let _ = Rbf::new(1.0) + "linear";
}
