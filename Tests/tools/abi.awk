# SPDX-License-Identifier: MIT
# What a change of structs breaks: awk -v old=OLD -f abi.awk OLD NEW. Lines as abi.sh writes them: a
# struct, then its fields in order.
#
# A struct may grow at its end if it says its size in its first field; what is added lies beyond the
# old size, as callers leave padding as it was. A field "reserved" may get a name: it was zero.

function type_of(line) {
  sub(/^[^ ]* [^ ]* /, "", line)
  return line
}

function say(words) { print "structs: " words }

{ newer = FILENAME != old }

# NAME size BYTES align BYTES
$2 == "size" {
  if (!newer) { size[$1] = $3; align[$1] = $5; fields[$1] = 0 }
  else { size_now[$1] = $3; align_now[$1] = $5; fields_now[$1] = 0 }
  next
}

# NAME.FIELD OFFSET TYPE
{
  split($1, part, ".")
  if (!newer) {
    n = ++fields[part[1]]
    field[part[1], n] = part[2]; offset[part[1], n] = $2; type[part[1], n] = type_of($0)
  } else {
    n = ++fields_now[part[1]]
    field_now[part[1], n] = part[2]; offset_now[part[1], n] = $2
    type_now[part[1], n] = type_of($0)
  }
}

function compare_field(name, n,    was, is) {
  was = field[name, n]
  is = field_now[name, n]
  if (was != is && was !~ /^reserved/)
    say(name "." was " is now " is)
  if (offset[name, n] != offset_now[name, n])
    say(name "." was " was at " offset[name, n] ", is at " offset_now[name, n])
  if (type[name, n] != type_now[name, n])
    say(name "." was " was " type[name, n] ", is " type_now[name, n])
}

function compare_struct(name,    n) {
  if (align[name] != align_now[name])
    say(name " was aligned to " align[name] ", is to " align_now[name])
  if (fields_now[name] < fields[name] || size_now[name] < size[name])
    say(name " has shrunk")
  if (size_now[name] != size[name] && field[name, 1] != "size")
    say(name " has grown and does not say its size")
  for (n = 1; n <= fields[name] && n <= fields_now[name]; n++) compare_field(name, n)
  for (; n <= fields_now[name]; n++)
    if (offset_now[name, n] < size[name])
      say(name "." field_now[name, n] " is new and not at the end")
}

END {
  for (name in size)
    if (!(name in size_now)) say(name " is gone")
    else compare_struct(name)
}
