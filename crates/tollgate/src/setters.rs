//! The setters of settings whose fields are public and plain.

/// For each field a setter: it takes the settings, changes that field and gives them back. The first line of its documentation says
/// what is so without it.
macro_rules! setters {
    ($settings:ident { $($(#[doc = $doc:literal])+ $name:ident: $type:ty;)+ }) => {
        impl $settings {
            $($(#[doc = $doc])+
            #[must_use]
            pub const fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            })+
        }
    };
}
pub(crate) use setters;
