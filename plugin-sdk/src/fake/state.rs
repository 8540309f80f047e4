//! Small values in memory.

use crate::Context;
use crate::state::{Error, MAX_KEY_BYTES, MAX_KEYS, MAX_VALUE_BYTES};

pub(crate) fn get(ctx: &Context, key: &str) -> Result<Option<Vec<u8>>, Error> {
    check_key(key)?;
    Ok(ctx.world.borrow().state.get(key).cloned())
}

pub(crate) fn set(ctx: &Context, key: &str, value: &[u8]) -> Result<(), Error> {
    check_key(key)?;
    if value.len() > MAX_VALUE_BYTES {
        return Err(Error::Quota(format!(
            "the value has {} bytes, more than {MAX_VALUE_BYTES}",
            value.len()
        )));
    }
    let state = &mut ctx.world.borrow_mut().state;
    if state.len() >= MAX_KEYS && !state.contains_key(key) {
        return Err(Error::Quota(format!("there are {MAX_KEYS} keys already")));
    }
    state.insert(key.to_owned(), value.to_vec());
    Ok(())
}

pub(crate) fn delete(ctx: &Context, key: &str) -> Result<(), Error> {
    check_key(key)?;
    ctx.world.borrow_mut().state.remove(key);
    Ok(())
}

pub(crate) fn keys(ctx: &Context, prefix: &str) -> Result<Vec<String>, Error> {
    Ok(ctx
        .world
        .borrow()
        .state
        .keys()
        .filter(|key| key.starts_with(prefix))
        .cloned()
        .collect())
}

fn check_key(key: &str) -> Result<(), Error> {
    match key.len() {
        0 => Err(Error::InvalidKey("the key is empty".to_owned())),
        1..=MAX_KEY_BYTES => Ok(()),
        bytes => Err(Error::InvalidKey(format!(
            "the key has {bytes} bytes, more than {MAX_KEY_BYTES}"
        ))),
    }
}
