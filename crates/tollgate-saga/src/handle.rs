//! Typed handles to values that do not exist yet.

use crate::machine::{Place, StepIndex};

use serde::de::DeserializeOwned;
use serde_json::Value;
use std::fmt;
use std::marker::PhantomData;

/// Ties handles to the one definition they were made for: the lifetime is invariant and different for each.
pub(crate) type Brand<'b> = PhantomData<fn(&'b ()) -> &'b ()>;

/// What will come of a step, or what the saga is started with. A handle of a step that comes later cannot be had, and one of another
/// definition does not compile:
///
/// ```compile_fail,E0521
/// # use tollgate_core::PaymentError;
/// # use tollgate_saga::{Definition, StepContext, step};
/// # async fn double(_: StepContext<()>, number: u64) -> Result<u64, PaymentError> { Ok(number * 2) }
/// let mut smuggled = None;
/// let _ = Definition::new("one", 1, (), |flow, number| {
///     smuggled = Some(number);
///     let (out, flow) = flow.pivot(step("double", double), number);
///     flow.finish(out)
/// });
/// ```
pub struct Out<'b, T> {
    place: Place,
    brand: Brand<'b>,
    value: PhantomData<fn() -> T>,
}

impl<T> Out<'_, T> {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            brand: PhantomData,
            value: PhantomData,
        }
    }

    pub(crate) const fn step(&self) -> Option<StepIndex> {
        match self.place {
            Place::Start => None,
            Place::Step(step) => Some(step),
        }
    }
}

impl<T> Clone for Out<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Out<'_, T> {}

impl<T> fmt::Debug for Out<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Out").field(&self.place).finish()
    }
}

mod sealed {
    pub trait Sealed {}
}

/// What a step can be given: one handle, or a tuple of up to six. A step that needs nothing takes `()`.
#[diagnostic::on_unimplemented(
    message = "a step cannot take `{Self}` as its input",
    note = "give it a handle (`order`), a tuple of handles (`(order, hold)`), or `()`"
)]
pub trait Inputs<'b>: sealed::Sealed + Copy {
    /// What the step will get.
    type Value: Send + 'static;

    #[doc(hidden)]
    fn places(&self) -> Vec<PlaceOf>;

    #[doc(hidden)]
    fn decode(values: &[&Value]) -> Result<Self::Value, serde_json::Error>;
}

/// Where a value comes from; the definition's own business.
#[derive(Clone, Copy, Debug)]
pub struct PlaceOf(pub(crate) Place);

impl<T> sealed::Sealed for Out<'_, T> {}

impl<'b, T: DeserializeOwned + Send + 'static> Inputs<'b> for Out<'b, T> {
    type Value = T;

    fn places(&self) -> Vec<PlaceOf> {
        vec![PlaceOf(self.place)]
    }

    fn decode(values: &[&Value]) -> Result<T, serde_json::Error> {
        take(values, 0)
    }
}

fn take<T: DeserializeOwned>(values: &[&Value], at: usize) -> Result<T, serde_json::Error> {
    static NOTHING: Value = Value::Null;
    T::deserialize(values.get(at).copied().unwrap_or(&NOTHING))
}

impl sealed::Sealed for () {}

impl Inputs<'_> for () {
    type Value = ();

    fn places(&self) -> Vec<PlaceOf> {
        Vec::new()
    }

    fn decode(_: &[&Value]) -> Result<(), serde_json::Error> {
        Ok(())
    }
}

macro_rules! tuples {
    ($(($($name:ident $at:tt),+);)+) => {$(
        impl<$($name),+> sealed::Sealed for ($(Out<'_, $name>,)+) {}

        impl<'b, $($name: DeserializeOwned + Send + 'static),+> Inputs<'b> for ($(Out<'b, $name>,)+) {
            type Value = ($($name,)+);

            fn places(&self) -> Vec<PlaceOf> {
                vec![$(PlaceOf(self.$at.place)),+]
            }

            fn decode(values: &[&Value]) -> Result<Self::Value, serde_json::Error> {
                Ok(($(take::<$name>(values, $at)?,)+))
            }
        }
    )+};
}

tuples! {
    (A 0, B 1);
    (A 0, B 1, C 2);
    (A 0, B 1, C 2, E 3);
    (A 0, B 1, C 2, E 3, F 4);
    (A 0, B 1, C 2, E 3, F 4, G 5);
}
