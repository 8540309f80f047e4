//! Reads secrets and says them wherever it can.

use goldenpath_sdk::prelude::*;
use goldenpath_sdk::secrets::Error;

/// Which secret.
#[input]
pub struct Which {
    /// Its name in the manifest.
    pub name: String,
    /// Read it so many times.
    #[serde(default)]
    pub again: u32,
}

/// What came of it.
#[output]
pub struct Told {
    /// The text.
    pub text: Option<String>,
    /// Its length, which nothing hides.
    pub length: Option<u32>,
    /// The code of the error.
    pub error: Option<String>,
    /// The text of the error.
    pub message: Option<String>,
}

/// Reads a secret and tells it: in the log as it is, line by line and in hexadecimal digits, as progress, and as its answer.
#[action]
pub fn tells_secret(input: Which, ctx: &Context) -> Result<Told, Failure> {
    for _ in 0..input.again {
        ctx.secrets().get(&input.name)?;
    }
    let text = match ctx.secrets().get(&input.name) {
        Ok(secret) => secret.expose().to_owned(),
        Err(error) => return Ok(refused(&error)),
    };
    ctx.log().info(format!("it is {text}"));
    for line in text.lines() {
        ctx.log().info(line);
    }
    let digits: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    ctx.log().info(digits);
    ctx.log().progress(1, Some(2), text.as_str());
    Ok(Told {
        length: u32::try_from(text.len()).ok(),
        text: Some(text),
        error: None,
        message: None,
    })
}

/// Reads a secret and fails with it.
#[action]
pub fn fails_with_secret(input: Which, ctx: &Context) -> Result<Told, Failure> {
    let secret = ctx.secrets().get(&input.name)?;
    Err(Failure::new("told", secret.expose().to_owned()))
}

fn refused(error: &Error) -> Told {
    Told {
        text: None,
        length: None,
        error: Some(error.code().to_owned()),
        message: Some(error.to_string()),
    }
}

goldenpath_sdk::plugin!(tells_secret, fails_with_secret);
