//! An exact model is fitted, not trained.
use mercer::gp::{Data, ExactGp};
use mercer::optim::Train;
use mercer::prelude::*;

fn main() {
    let data = Data::new(mat![[0.0], [1.0]], [0.3, 1.0]);
    let _ = ExactGp::new(Rbf::new(1.0)).run(&data, &Train::new(10));
}
