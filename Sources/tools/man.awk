# SPDX-License-Identifier: MIT
# Makes the page NAME(3) of Include/NAME.h, so that nothing is said twice: the first comment
# is the description; each "N. Title" begins a section, in which comments that begin a line are text
# and the rest is code. Text that is indented further stays as it is.
#
#     awk -v version=0.1.0 -v name=vsmmuv3 -v libraries=vsmmuv3 -f man.awk Include/vsmmuv3.h

# What troff would take for its own.
function literal(text) {
  gsub(/\\/, "\\e", text)
  gsub(/-/, "\\-", text)
  sub(/^[.']/, "\\\\\\&&", text)
  return text
}

function mode(wanted) {
  if (wanted == now) return
  if (now == "code") print ".EE"
  print wanted == "code" ? ".PP\n.EX" : ".PP"
  now = wanted
  blank = 0
}

function section(title) {
  if (now == "code") print ".EE"
  print ".SH \"" literal(toupper(title)) "\""
  now = "text"
  blank = 0
}

# A line of code, or of text that is set as it stands.
function code(line) {
  if (line == "") {
    blank = now == "code"
    return
  }
  mode("code")
  if (blank) print ""
  blank = 0
  gsub(/\t/, "        ", line)
  print literal(line)
}

function text(line) {
  if (line == "") {
    blank = 1
    return
  }
  if (line ~ /^    /) {
    code(line)
    return
  }
  if (now == "text" && blank) print ".PP"
  mode("text")
  blank = 0
  print literal(line)
}

# The name and what it is, from the first line of the first comment.
function head(line) {
  sub(/^[^ ]* - /, "", line)
  sub(/\.$/, "", line)
  print ".\\\" Made of " name ".h by man.awk."
  print ".TH " toupper(name) " 3 \"\" \"vsmmuv3 " version "\" \"Library Functions Manual\""
  # Names are not to be broken.
  print ".nr HY 0\n.nh\n.ad l"
  print ".SH NAME"
  print name " \\- " literal(line)
  print ".SH SYNOPSIS"
  print ".EX\n#include <" name ".h>\n"
  print literal("cc vmm.c $(pkg-config --cflags --libs " libraries ")") "\n.EE"
  section("Description")
}

BEGIN { state = "begin" }

# The first comment.
state == "begin" && /^ \* vsmmuv3[a-z_]*\.h - / { head(substr($0, 4)); state = "first"; next }
state == "first" && /^ \*\/$/ { state = "macros"; next }
state == "first" { text(substr($0, 4)); next }

# What every header has around itself.
/^\/\* -----/ { state = "title"; next }
/^#ifdef __cplusplus$/ && state == "body" { exit }
state == "title" {
  title = substr($0, 4)
  rest = ""
  # A sentence after the title is text.
  if (match(title, /[A-Za-z]\. /)) {
    rest = substr(title, RSTART + 3)
    title = substr(title, 1, RSTART)
  }
  section(title)
  if (rest != "") text(rest)
  state = "comment"
  next
}
state == "comment" && /^ \*\/$/ { state = "body"; next }
state == "comment" && /\*\/$/ {
  line = substr($0, 4)
  sub(/ *\*\/$/, "", line)
  text(line)
  state = "body"
  next
}
state == "comment" { text(substr($0, 4)); next }

# A comment of its own is text, and what follows it a paragraph of code.
state == "body" && /^\/\*/ {
  line = substr($0, 4)
  if (now == "code") blank = 0
  if (line ~ /\*\/$/) sub(/ *\*\/$/, "", line)
  else state = "comment"
  if (now == "text") blank = 1
  text(line)
  next
}
state == "body" { code($0) }

END {
  if (now == "code") print ".EE"
  print ".SH SEE ALSO"
  print "vsmmuv3(3), the device; vsmmuv3_host(3), assigned devices on a host SMMU;"
  print "vsmmuv3_emulated(3), a kernel with iommufd, and SMMUs, in process;"
  print "the header vsmmuv3_fdt.h, device trees;"
  print "Arm IHI 0070 G.b, the architecture."
}
