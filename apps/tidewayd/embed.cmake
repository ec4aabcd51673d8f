# SPDX-License-Identifier: Apache-2.0
#
# Writes the files of a folder into a source file, as text of the program:
#   cmake -D FOLDER=tidewayd/web -D OUTPUT=web_files.cc -P embed.cmake
set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_svg "image/svg+xml")
file(GLOB files RELATIVE ${FOLDER} ${FOLDER}/*)
list(SORT files)
set(rows "")
foreach(file IN LISTS files)
  string(REGEX REPLACE ".*\\." "" ending ${file})
  if(NOT DEFINED type_${ending})
    message(FATAL_ERROR "${file}: what type is it? Add its ending to embed.cmake")
  endif()
  set(path "/${file}")
  if(file STREQUAL "index.html")
    set(path "/")
  endif()
  file(READ ${FOLDER}/${file} text)
  string(APPEND rows "    {\"${path}\", \"${type_${ending}}\", R\"~~~(${text})~~~\"},\n")
endforeach()
file(WRITE ${OUTPUT} "// Made of ${FOLDER} by embed.cmake.
#include \"tidewayd/web_files.h\"

namespace tideway {
namespace {

constexpr daemon::WebFile kFiles[] = {
${rows}};

}  // namespace

std::span<const daemon::WebFile> web_files() { return kFiles; }

}  // namespace tideway
")
