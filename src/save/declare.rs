//! Parts that are saved as the arguments of a constructor.

/// Saves a type under a name as the arguments of its checked constructor, each of which has a getter of its name, and fields
/// that there may be none of.
macro_rules! saved {
    ($type:ty as $name:literal: $constructor:ident($($argument:ident),* $(,)?) $(, $optional:ident)?) => {
        impl $crate::save::Save for $type {
            const NAME: &'static str = $name;

            fn write(&self, to: &mut $crate::save::Writer) -> $crate::Result<()> {
                $(to.put(stringify!($argument), &self.$argument())?;)*
                $(to.put_optional(stringify!($optional), self.$optional.as_ref())?;)?
                let _ = to;
                Ok(())
            }
        }

        impl $crate::save::Load for $type {
            fn read(from: &mut $crate::save::Reader<'_>) -> $crate::Result<Self> {
                #[allow(unused_mut, reason = "most have nothing that may be left out")]
                let mut part = Self::$constructor($(from.take(stringify!($argument))?),*)?;
                $(part.$optional = from.take_optional(stringify!($optional))?;)?
                let _ = from;
                Ok(part)
            }
        }
    };
}

pub(crate) use saved;
