// Writes files into a C++ source as string literals, plain and, where it pays, compressed.

import { extname } from "node:path";
import { gzipSync } from "node:zlib";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".webmanifest": "application/manifest+json",
};

/** The source of web/files.h for `files`, each {path, bytes}. Throws at a file whose type it does not know. */
export function cppSource(files) {
  const entries = files.map(({ path, bytes }) => {
    const type = TYPES[extname(path)];
    if (!type) throw new Error(`${path}: no content type is known for "${extname(path)}"; add it to embed.mjs`);
    const packed = gzipSync(bytes, { level: 9 });
    const gzip = packed.length < bytes.length * 0.9 ? `,\n     .gzip = ${literal(packed)}` : "";
    return `    {.path = "${path}",\n     .content_type = "${type}",\n     .bytes = ${literal(bytes)}${gzip}},\n`;
  });
  return `#include "web/files.h"

namespace millrace::web {

namespace {

using namespace std::string_view_literals;

constexpr http::StaticFile embedded[] = {
${entries.join("")}};

}  // namespace

std::span<const http::StaticFile> files() { return embedded; }

}  // namespace millrace::web
`;
}

// In pieces, because a line of a megabyte is slow in every tool. Three octal digits always, so that no digit after them counts.
function literal(bytes) {
  const pieces = [];
  for (let start = 0; start < bytes.length; start += 4096) {
    let piece = "";
    for (const byte of bytes.subarray(start, start + 4096)) piece += CHARACTERS[byte];
    pieces.push(`"${piece}"`);
  }
  return `${pieces.join("\n    ") || '""'}sv`;
}

const CHARACTERS = Array.from({ length: 256 }, (_, byte) => {
  const plain = byte >= 0x20 && byte < 0x7f && !'"\\?'.includes(String.fromCharCode(byte));
  return plain ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`;
});
