//! Steps that are taken in memory, and sleeps that are over at once.

use std::time::Duration;

use crate::steps::{Begun, Error};
use crate::{Context, Failure};

/// The longest name, as the host has it.
const NAME_CHARS: usize = 100;

/// What was taken so far.
#[derive(Debug, Default)]
pub(crate) struct FakeSteps {
    /// Of steps and sleeps together.
    number: usize,
    pub(super) names: Vec<String>,
    pub(super) sleeps: Vec<(String, Duration)>,
    open: Option<String>,
}

impl FakeSteps {
    fn next(&mut self, name: &str) -> Result<usize, Error> {
        if let Some(open) = &self.open {
            return Err(Error::Nested(open.clone()));
        }
        if !(1..=NAME_CHARS).contains(&name.chars().count()) {
            let text = format!("the name of a step has 1 to {NAME_CHARS} characters");
            return Err(Error::Invalid(text));
        }
        self.number += 1;
        Ok(self.number)
    }
}

pub(crate) fn begin(ctx: &Context, name: &str, _: Option<String>, _: bool) -> Result<Begun, Error> {
    let steps = &mut ctx.world.borrow_mut().steps;
    let number = steps.next(name)?;
    steps.open = Some(name.to_owned());
    Ok(Begun::Run(format!("{}.{number}", ctx.run_id)))
}

pub(crate) fn finish(ctx: &Context, _: String) -> Result<(), Error> {
    let steps = &mut ctx.world.borrow_mut().steps;
    let name = steps.open.take().ok_or(Error::NoneOpen)?;
    steps.names.push(name);
    Ok(())
}

pub(crate) fn fail(ctx: &Context, _: &Failure) -> Result<(), Error> {
    let steps = &mut ctx.world.borrow_mut().steps;
    steps.open.take().map(drop).ok_or(Error::NoneOpen)
}

pub(crate) fn sleep(ctx: &Context, name: &str, millis: u64) -> Result<(), Error> {
    let steps = &mut ctx.world.borrow_mut().steps;
    steps.next(name)?;
    steps
        .sleeps
        .push((name.to_owned(), Duration::from_millis(millis)));
    Ok(())
}
