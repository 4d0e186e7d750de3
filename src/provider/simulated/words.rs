//! [`faults!`]: things that go wrong, each with the word that users write and a few words about it.
//!
//! Pure.

/// Declares the kinds of a fault with `ALL`, their words both ways and the list for help texts.
macro_rules! faults {
    (
        $(#[$about:meta])*
        pub enum $name:ident {
            $($(#[$doc:meta])* $fault:ident = $word:literal, $what:literal;)+
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $fault,)+
        }

        impl $name {
            /// Every one, in the order in which they are declared.
            pub const ALL: [$name; [$($name::$fault),+].len()] = [$($name::$fault),+];

            /// The word users write and read.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$fault => $word,)+
                }
            }

            /// What it does, in a few words.
            pub fn describe(self) -> &'static str {
                match self {
                    $($name::$fault => $what,)+
                }
            }

            /// Every word, for messages.
            fn words() -> String {
                $name::ALL.map($name::as_str).join(", ")
            }

            /// The one with this word.
            fn of_word(word: &str) -> Option<$name> {
                $name::ALL.into_iter().find(|fault| fault.as_str() == word)
            }

            /// Every one with what it does, one a line, for help texts.
            pub fn list() -> String {
                $name::ALL.map(|fault| format!("  {fault:<15} {}\n", fault.describe())).concat()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

pub(super) use faults;
