//! The themes that are part of the program.

/// Name and file, in the order in which they are offered.
pub(super) const THEMES: &[(&str, &str)] = &[
    ("catppuccin-mocha", include_str!("../../../themes/catppuccin-mocha.toml")),
    ("catppuccin-latte", include_str!("../../../themes/catppuccin-latte.toml")),
    ("gruvbox-dark", include_str!("../../../themes/gruvbox-dark.toml")),
    ("nord", include_str!("../../../themes/nord.toml")),
    ("tokyo-night", include_str!("../../../themes/tokyo-night.toml")),
    ("dracula", include_str!("../../../themes/dracula.toml")),
    ("solarized-light", include_str!("../../../themes/solarized-light.toml")),
    ("terminal", include_str!("../../../themes/terminal.toml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
];

/// The file of that built-in theme.
pub(super) fn find(name: &str) -> Option<&'static str> {
    THEMES.iter().find(|(own, _)| *own == name).map(|(_, text)| *text)
}
