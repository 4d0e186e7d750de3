//! A drawing as a picture: SVG in, PNG out.
//!
//! Pure: the drawing holds outlines instead of text, so no font of this machine is looked at.

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree};

use super::Chart;

/// Pixels for each pixel of the drawing: sharp on dense screens and when printed.
const SCALE: f32 = 2.0;

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the picture: {0}")]
pub struct PictureError(String);

/// The chart as a PNG file.
pub fn png(chart: &Chart) -> Result<Vec<u8>, PictureError> {
    let tree = Tree::from_str(&chart.document(), &Options::default())
        .map_err(|error| PictureError(error.to_string()))?;
    let size = tree.size().to_int_size().scale_by(SCALE);
    let size = size.ok_or_else(|| PictureError("it has no size".to_owned()))?;
    let pixels = Pixmap::new(size.width(), size.height());
    let mut pixels = pixels.ok_or_else(|| PictureError("it is too large".to_owned()))?;
    resvg::render(&tree, Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| PictureError(error.to_string()))
}
