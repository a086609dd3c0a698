//! Drawings as pictures: SVG of ours in, PNG out, the same on every machine. It reads no file and asks no network.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::{Database, Source};
use resvg::usvg::{ImageHrefResolver, Options, Tree};

use super::letters::{FAMILY, FILES};
use crate::error::{Error, Result};

/// How wide and how high a picture is, in pixels: what is shown large where a link is posted.
pub const SIZE: (u32, u32) = (1200, 630);

/// The only font there is, read when the first picture is drawn.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    for file in FILES {
        fonts.load_font_source(Source::Binary(Arc::new(file)));
    }
    Arc::new(fonts)
});

/// The picture of a drawing: tens of milliseconds of work.
///
/// # Errors
/// `Internal` when `svg` is none.
pub(super) fn png(svg: &str) -> Result<Vec<u8>> {
    let options = Options {
        fontdb: Arc::clone(&FONTS),
        font_family: FAMILY.to_owned(),
        // A drawing has no images, so that none is looked for on this machine.
        image_href_resolver: ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..Options::default()
    };
    let drawing = Tree::from_str(svg, &options).map_err(Error::internal)?;
    let (width, height) = SIZE;
    let mut canvas = Pixmap::new(width, height).ok_or_else(|| Error::internal("a picture without a size"))?;
    resvg::render(&drawing, Transform::identity(), &mut canvas.as_mut());
    canvas.encode_png().map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(inside: &str) -> Vec<u8> {
        let svg = format!(
            "<svg xmlns='http://www.w3.org/2000/svg' width='1200' height='630' font-family='{FAMILY}'>{inside}</svg>"
        );
        png(&svg).unwrap()
    }

    #[test]
    fn letters_are_drawn_alike_every_time_and_bold_ones_differ() {
        let text =
            |weight| drawn(&format!("<text y='100' font-size='80' font-weight='{weight}'>82.1</text>"));
        let [plain, bold] = [400, 700].map(text);
        assert!(plain == text(400));
        assert!(plain != bold && plain != drawn(""), "the font is found");
    }

    #[test]
    fn a_drawing_brings_no_files_in() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/static/icon.svg");
        assert!(drawn(&format!("<image href='{file}' width='100' height='100'/>")) == drawn(""));
        assert!(png("<svg").is_err());
    }
}
