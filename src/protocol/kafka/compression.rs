//! Compression of the records in a batch.

use std::io::Write;

use super::Error;

/// A compression codec; all brokers since Kafka 2.1 support each of them. Snappy is not
/// offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// No compression.
    #[default]
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// The LZ4 frame format with independent blocks of 64 KiB.
    Lz4,
    /// Zstandard (RFC 8878), since Kafka 2.1.
    Zstd,
}

impl Compression {
    /// All codecs, by the names that Kafka's configuration uses.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("none", Self::None),
        ("gzip", Self::Gzip),
        ("lz4", Self::Lz4),
        ("zstd", Self::Zstd),
    ];

    /// The codec's number in the attributes of a batch.
    pub(super) fn attribute(self) -> i16 {
        match self {
            Self::None => 0,
            Self::Gzip => 1,
            Self::Lz4 => 3,
            Self::Zstd => 4,
        }
    }

    /// Appends `records` to `out`, compressed.
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
