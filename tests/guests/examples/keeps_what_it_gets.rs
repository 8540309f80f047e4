//! Asks a server and writes what it was answered wherever it may write.

use goldenpath_sdk::prelude::*;

/// Where to.
#[input]
pub enum Place {
    /// A property of an entity.
    Property,
    /// The title of an entity.
    Title,
    /// A value of its state.
    State,
    /// A file, in one write.
    File,
    /// A file, byte by byte.
    Bytes,
}

/// What to keep.
#[input]
pub struct Keep {
    /// Where.
    pub place: Place,
}

/// Nothing more to say.
#[output]
pub struct Kept {
    /// How many bytes.
    pub bytes: usize,
}

/// Keeps what the server answers.
#[action]
pub fn keeps(input: Keep, ctx: &Context) -> Result<Kept, Failure> {
    let request = ctx.http().endpoint("api")?.get("/x");
    let answer = ctx.http().send(&request)?;
    let text = answer.text()?;
    let thing = Entity::new("Thing", "one");
    match input.place {
        Place::Property => drop(ctx.catalog().create(&thing.property("colour", text))?),
        Place::Title => drop(ctx.catalog().create(&thing.title(text))?),
        Place::State => ctx.state().set_bytes("kept", text.as_bytes())?,
        Place::File => ctx.folder("box").create("kept", text)?,
        Place::Bytes => {
            let mut writer = ctx.folder("box").writer("kept")?;
            for byte in text.bytes() {
                writer.write_all(&[byte])?;
            }
            writer.finish()?;
        }
    }
    Ok(Kept { bytes: text.len() })
}

goldenpath_sdk::plugin!(keeps);
