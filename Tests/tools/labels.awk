# SPDX-License-Identifier: MIT
# Calls that do not say what their values are: functions, initialisers, subscripts and cases of more
# than two parameters, of which one behind the first has no label. A closure that stands last is
# written behind the call and needs none. C has no labels: what is exported to it (@_cdecl) is as
# its header says.
#
# labels.awk FILE...: prints FILE:LINE: and the declaration.

# Whether the text of a parameter list, without its parentheses, names too little.
function isUnlabelled(text, isCase,    i, c, depth, count, part, parts) {
  depth = count = 0
  part = ""
  for (i = 1; i <= length(text); i++) {
    c = substr(text, i, 1)
    if (c ~ /[([{<]/) depth++
    if (c ~ /[)\]}]/ || c == ">" && substr(text, i - 1, 1) != "-") depth--
    if (c == "," && depth == 0) {
      parts[++count] = part
      part = ""
    } else {
      part = part c
    }
  }
  if (part ~ /[^ ]/) parts[++count] = part
  if (count <= 2) return 0
  for (i = 2; i <= count; i++) {
    if (isCase ? parts[i] ~ /^[^(:]*:/ : parts[i] !~ /^ *_ /) continue
    if (i == count && parts[i] ~ /->/) continue
    return 1
  }
  return 0
}

# The list that begins in front of `line`; what of it is there. The rest comes with later lines.
function take(    i, c) {
  for (i = 1; i <= length(line); i++) {
    c = substr(line, i, 1)
    if (c == "(") open++
    if (c == ")" && --open == 0) break
    list = list c
  }
  if (open) {
    list = list " "
    line = ""
    return
  }
  line = substr(line, i + 1)
  gsub(/  +/, " ", list)
  if (!isExported && isUnlabelled(list, isCase)) print place name "(" list ")"
  isExported = 0
}

function begin() {
  name = substr(line, RSTART, RLENGTH - 1)
  line = substr(line, RSTART + RLENGTH)
  place = FILENAME ":" FNR ": "
  list = ""
  open = 1
  take()
}

FNR == 1 { open = 0; isExported = 0 }
{
  line = $0
  sub(/^ *\/\/.*| \/\/ .*/, "", line)
  if (open) take()
}
/@_cdecl/ { isExported = 1 }
!open && line ~ /^ *(indirect )?case [a-z]/ && line !~ /[.=]/ {
  isCase = 1
  while (!open && match(line, /[A-Za-z0-9]+\(/)) begin()
}
!open && line !~ /^ *(indirect )?case / {
  isCase = 0
  if (match(line, /(func [^ (]+|(^| )init[?!]?|(^| )subscript)(<[^(]*>)?\(/)) begin()
}
