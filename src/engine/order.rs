//! The order of numbers.

/// The order of some numbers, where it is not that in which they are given.
#[derive(Debug)]
pub(crate) struct Order(Option<Vec<usize>>);

impl Order {
    pub(crate) fn of(numbers: &[f64]) -> Self {
        if numbers.is_sorted() {
            return Self(None);
        }
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.sort_by(|&a, &b| numbers[a].total_cmp(&numbers[b]));
        Self(Some(order))
    }

    /// In order.
    pub(crate) fn sorted(&self, of: Vec<f64>) -> Vec<f64> {
        match &self.0 {
            None => of,
            Some(order) => order.iter().map(|&index| of[index]).collect(),
        }
    }

    /// What is in order, as it was given.
    pub(crate) fn given(&self, of: Vec<f64>) -> Vec<f64> {
        let Some(order) = &self.0 else { return of };
        let mut given = vec![0.0; of.len()];
        order.iter().zip(of).for_each(|(&index, value)| given[index] = value);
        given
    }

    /// Where what is at this place in order was given.
    pub(crate) fn place(&self, index: usize) -> usize {
        self.0.as_ref().map_or(index, |order| order[index])
    }

    /// For each of so many, as they were given, the place in order.
    pub(crate) fn places(&self, count: usize) -> Vec<usize> {
        let mut places = vec![0; count];
        (0..count).for_each(|index| places[self.place(index)] = index);
        places
    }
}
