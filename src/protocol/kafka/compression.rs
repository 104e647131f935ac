//! How the records of a batch are compressed.

use std::io::Write;

use super::Error;

/// A way to compress; brokers of all versions since Kafka 2.1 take each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    #[default]
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// The frame format of LZ4, blocks of 64 KiB that do not depend on each other.
    Lz4,
    /// Zstandard (RFC 8878), since Kafka 2.1.
    Zstd,
}

impl Compression {
    /// All of them, by the names that Kafka has for them.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("none", Self::None),
        ("gzip", Self::Gzip),
        ("lz4", Self::Lz4),
        ("zstd", Self::Zstd),
    ];

    /// Its number in the attributes of a batch.
    pub(super) fn attribute(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Appends `records`, compressed.
    pub(super) fn compress(self, records: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let failed = |error: &dyn std::fmt::Display| Error::Compression(error.to_string());
        match self {
            Self::None => out.extend_from_slice(records),
            Self::Gzip => {
                let level = flate2::Compression::default();
                let mut encoder = flate2::write::GzEncoder::new(out, level);
                let written = encoder.write_all(records);
                written.map_err(|e| failed(&e))?;
                encoder.finish().map_err(|e| failed(&e))?;
            }
            Self::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(out);
                encoder.write_all(records).map_err(|e| failed(&e))?;
                encoder.finish().map_err(|e| failed(&e))?;
            }
            Self::Zstd => {
                let level = ruzstd::encoding::CompressionLevel::Fastest;
                ruzstd::encoding::compress(records, out, level);
            }
        }
        Ok(())
    }
}
