//! A kernel calculator: reads kernels as text and points from a JSON document, prints their matrices and
//! gradients as JSON.
//!
//! `cargo run --release --example evaluate -- cases.json`, or from standard input without a file.
//!
//! ```text
//! {"cases": [{"kernel": "2 * rbf(lengthscale=0.7)", "x": [[0], [1]], "z": [[0.5]], "weights": [[1], [1]], "dtype": "f64"}]}
//! ```
//!
//! Without `z`, the answer has the Gram matrix of `x` as `gram`, with it the cross-covariance as `cross`; both
//! have `diag`, the values k(x, x). With `weights` W, `gradient` holds that of Σ W ∘ K: in the hyperparameters
//! by path (`parameters`), in `x`, and in `z`. Sets of points one level deeper are a batch: the kernel (or a
//! `batched([…], shared=[…])`) is evaluated for each. NaN and infinities are the texts "NaN", "Infinity" and
//! "-Infinity". A mistake in a case gives `{"error": …}` in its place.

use std::error::Error;
use std::io::Read;

use mercer::batch::{BatchMatrix, BatchPoints, Batched, InputGradients, Member};
use mercer::kernel::{GradientRequest, cross_vjp, gram_vjp};
use mercer::prelude::*;
use serde_json::{Map, Value, json};

type Answer<V> = Result<V, Box<dyn Error>>;

fn main() -> Answer<()> {
    let mut document = String::new();
    match std::env::args().nth(1) {
        Some(path) => document = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?,
        None => {
            std::io::stdin().read_to_string(&mut document)?;
        }
    }
    let document: Value = serde_json::from_str(&document)?;
    let cases = document.get("cases").and_then(Value::as_array).ok_or("the document has no list `cases`")?;
    let answers: Vec<Value> =
        cases.iter().map(|case| answer(case).unwrap_or_else(|error| json!({ "error": error.to_string() }))).collect();
    println!("{}", json!({ "cases": answers }));
    Ok(())
}

/// One case, in the precision that it asks for.
fn answer(case: &Value) -> Answer<Value> {
    let text = case.get("kernel").and_then(Value::as_str).ok_or("the case has no text `kernel`")?;
    for key in case.as_object().into_iter().flat_map(Map::keys) {
        if !["kernel", "x", "z", "weights", "dtype"].contains(&key.as_str()) {
            return Err(format!("unknown key `{key}`; a case has `kernel`, `x`, `z`, `weights` and `dtype`").into());
        }
    }
    match case.get("dtype").map_or(Some("f64"), Value::as_str) {
        Some("f64") => Case::<f64>::read(case)?.answer(text),
        Some("f32") => Case::<f32>::read(case)?.answer(text),
        _ => Err("`dtype` must be \"f64\" or \"f32\"".into()),
    }
}

/// A matrix, or a list of such trees: one level a batch.
enum Tree<T: Scalar> {
    Matrix(Mat<T>),
    Each(Vec<Tree<T>>),
}

struct Case<T: Scalar> {
    x: Tree<T>,
    z: Option<Tree<T>>,
    weights: Option<Tree<T>>,
}

impl<T: Scalar> Case<T> {
    fn read(case: &Value) -> Answer<Self> {
        let optional = |name| case.get(name).filter(|value| !value.is_null()).map(|value| Tree::read(name, value));
        let x = optional("x").ok_or("the case has no points `x`")??;
        Ok(Self { x, z: optional("z").transpose()?, weights: optional("weights").transpose()? })
    }

    fn answer(&self, text: &str) -> Answer<Value> {
        let depth = self.x.depth().max(self.z.as_ref().map_or(0, Tree::depth));
        if text.trim_start().starts_with("batched([batched(") {
            return self.batch(&text.parse::<Batched<Batched<DynKernel>>>()?);
        }
        if text.trim_start().starts_with("batched(") {
            return self.batch(&text.parse::<Batched<DynKernel>>()?);
        }
        let kernel: DynKernel = text.parse()?;
        match (&self.x, &self.z, &self.weights) {
            (Tree::Matrix(x), None, None) => plain(&kernel, x, None, None),
            (Tree::Matrix(x), None, Some(Tree::Matrix(w))) => plain(&kernel, x, None, Some(w)),
            (Tree::Matrix(x), Some(Tree::Matrix(z)), None) => plain(&kernel, x, Some(z), None),
            (Tree::Matrix(x), Some(Tree::Matrix(z)), Some(Tree::Matrix(w))) => plain(&kernel, x, Some(z), Some(w)),
            _ if depth <= 1 => self.batch(&kernel.batched(self.len())?),
            _ => {
                let outer = self.len();
                self.batch(&kernel.batched(self.inner_len())?.batched(outer)?)
            }
        }
    }

    /// The size of a batch that the kernel's text does not tell.
    fn len(&self) -> usize {
        let trees = [Some(&self.x), self.z.as_ref(), self.weights.as_ref()];
        trees.into_iter().flatten().find_map(Tree::len).unwrap_or(1)
    }

    fn inner_len(&self) -> usize {
        let trees = [Some(&self.x), self.z.as_ref(), self.weights.as_ref()];
        trees.into_iter().flatten().find_map(|tree| tree.first().and_then(Tree::len)).unwrap_or(1)
    }

    fn batch<M: Member<T>>(&self, kernel: &Batched<M>) -> Answer<Value> {
        let (x, z) = (self.x.inputs(), self.z.as_ref().map(Tree::inputs));
        let (name, matrix) = match &z {
            None => ("gram", kernel.gram(x.clone())?),
            Some(z) => ("cross", kernel.cross(x.clone(), z.clone())?),
        };
        let mut answer = Map::new();
        answer.insert(name.to_owned(), nested(&matrix, |matrix| json_matrix(matrix)));
        answer.insert("diag".to_owned(), nested(&kernel.diag(x.clone())?, |column| json_vector(column.col(0).iter())));
        if let Some(weights) = &self.weights {
            let mut cotangent = BatchMatrix::zeros(matrix.sizes(), matrix.nrows(), matrix.ncols());
            weights.write(&mut Vec::new(), &mut cotangent)?;
            let gradients = match z {
                None => kernel.gram_vjp(x, &cotangent, GradientRequest::ALL)?,
                Some(z) => kernel.cross_vjp(x, z, &cotangent, GradientRequest::ALL)?,
            };
            let mut gradient = json!({ "parameters": by_path(kernel, &gradients.theta) });
            gradient["x"] = gradients.x.map_or(Value::Null, |x| json_gradients(&x));
            if let Some(z) = gradients.z {
                gradient["z"] = json_gradients(&z);
            }
            answer.insert("gradient".to_owned(), gradient);
        }
        Ok(Value::Object(answer))
    }
}

/// A case without a batch.
fn plain<T: Scalar>(kernel: &DynKernel, x: &Mat<T>, z: Option<&Mat<T>>, weights: Option<&Mat<T>>) -> Answer<Value> {
    let mut answer = match z {
        None => json!({ "gram": json_matrix(kernel.gram(x.as_ref())?.as_ref()) }),
        Some(z) => json!({ "cross": json_matrix(kernel.cross(x.as_ref(), z.as_ref())?.as_ref()) }),
    };
    answer["diag"] = json_vector(kernel.diag(x.as_ref())?.iter());
    if let Some(weights) = weights {
        let (w, wanted) = (weights.as_ref(), GradientRequest::ALL);
        let gradients = match z {
            None => gram_vjp(kernel, x.as_ref(), w, wanted, Par::rayon(0))?,
            Some(z) => cross_vjp(kernel, x.as_ref(), z.as_ref(), w, wanted, Par::rayon(0))?,
        };
        answer["gradient"] = json!({ "parameters": by_path(kernel, &gradients.theta) });
        for (name, gradient) in [("x", gradients.x), ("z", gradients.z)] {
            if let Some(gradient) = gradient {
                answer["gradient"][name] = json_matrix(gradient.as_ref());
            }
        }
    }
    Ok(answer)
}

impl<T: Scalar> Tree<T> {
    fn read(name: &str, value: &Value) -> Answer<Self> {
        let deeper = |value: &Value| value.as_array().and_then(|items| items.first()).is_some_and(Value::is_array);
        let rows = value.as_array().ok_or_else(|| format!("`{name}` must be a list of rows"))?;
        if deeper(value) && rows.first().is_some_and(deeper) {
            return Ok(Self::Each(rows.iter().map(|part| Self::read(name, part)).collect::<Answer<_>>()?));
        }
        let row = |(index, row): (usize, &Value)| -> Answer<Vec<T>> {
            let entries = row.as_array().ok_or_else(|| format!("`{name}[{index}]` must be a list of numbers"))?;
            let number = |(col, entry): (usize, &Value)| {
                number(entry).ok_or_else(|| format!("`{name}[{index}][{col}]` must be a number or \"NaN\"").into())
            };
            entries.iter().enumerate().map(number).collect()
        };
        let rows: Vec<Vec<T>> = rows.iter().enumerate().map(row).collect::<Answer<_>>()?;
        let cols = rows.first().map_or(0, Vec::len);
        if let Some(odd) = rows.iter().position(|row| row.len() != cols) {
            let found = rows[odd].len();
            return Err(format!("`{name}[{odd}]` has {found} number(s), but `{name}[0]` has {cols}").into());
        }
        Ok(Self::Matrix(Mat::from_fn(rows.len(), cols, |row, col| rows[row][col])))
    }

    /// Levels of batches.
    fn depth(&self) -> usize {
        self.first().map_or(0, |first| 1 + first.depth())
    }

    fn first(&self) -> Option<&Self> {
        match self {
            Self::Matrix(_) => None,
            Self::Each(parts) => parts.first(),
        }
    }

    fn len(&self) -> Option<usize> {
        match self {
            Self::Matrix(_) => None,
            Self::Each(parts) => Some(parts.len()),
        }
    }

    fn inputs(&self) -> BatchPoints<'_, T> {
        match self {
            Self::Matrix(points) => BatchPoints::Shared(points.as_ref()),
            Self::Each(parts) => BatchPoints::Each(parts.iter().map(Self::inputs).collect()),
        }
    }

    /// Copies the matrices to the members below `index`; one matrix serves all members below.
    fn write(&self, index: &mut Vec<usize>, out: &mut BatchMatrix<T>) -> Answer<()> {
        let size = out.sizes().get(index.len()).copied();
        match (self, size) {
            (Self::Matrix(matrix), None) => {
                let mut out = out.get_mut(index)?;
                if (matrix.nrows(), matrix.ncols()) != (out.nrows(), out.ncols()) {
                    let (found, expected) = ((matrix.nrows(), matrix.ncols()), (out.nrows(), out.ncols()));
                    return Err(format!("`weights` has shape {found:?}, but {expected:?} was expected").into());
                }
                out.copy_from(matrix);
                Ok(())
            }
            (Self::Each(parts), Some(size)) if parts.len() == size => {
                for (at, part) in parts.iter().enumerate() {
                    index.push(at);
                    part.write(index, out)?;
                    index.pop();
                }
                Ok(())
            }
            _ => Err(format!("`weights` must have the shape {:?}", out.shape()).into()),
        }
    }
}

fn number<T: Scalar>(value: &Value) -> Option<T> {
    let value = match value.as_str() {
        None => value.as_f64()?,
        Some("NaN") => f64::NAN,
        Some("Infinity") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        Some(_) => return None,
    };
    Some(T::from_f64(value))
}

fn json_number<T: Scalar>(value: T) -> Value {
    let value = value.as_f64();
    if value.is_finite() {
        return json!(value);
    }
    let text = if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    };
    json!(text)
}

fn json_vector<'a, T: Scalar>(values: impl Iterator<Item = &'a T>) -> Value {
    Value::Array(values.map(|&value| json_number(value)).collect())
}

fn json_matrix<T: Scalar>(matrix: MatRef<'_, T>) -> Value {
    Value::Array(matrix.row_iter().map(|row| json_vector(row.iter())).collect())
}

fn json_gradients<T: Scalar>(gradients: &InputGradients<T>) -> Value {
    match gradients {
        InputGradients::Shared(gradient) => json_matrix(gradient.as_ref()),
        InputGradients::Each(each) => Value::Array(each.iter().map(json_gradients).collect()),
    }
}

/// The members' matrices as lists, one level a level of the batch.
fn nested<T: Scalar>(batch: &BatchMatrix<T>, show: impl Fn(MatRef<'_, T>) -> Value) -> Value {
    let mut level: Vec<Value> = batch.iter().map(show).collect();
    for &size in batch.sizes().iter().skip(1).rev() {
        level = level.chunks(size).map(|part| Value::Array(part.to_vec())).collect();
    }
    Value::Array(level)
}

fn by_path(kernel: &impl Parameterized, theta: &[f64]) -> Value {
    let entries = kernel.parameters().into_iter().zip(theta);
    Value::Object(entries.map(|(entry, &gradient)| (entry.path, json_number(gradient))).collect())
}
