//! The commented config that `init` writes and `config schema` prints.

/// Every key there is, with its default or an example, commented out.
///
/// Lines that start with `#` and a key become a valid config when the `#` is taken off.
pub fn template() -> &'static str {
    include_str!("template.toml")
}
