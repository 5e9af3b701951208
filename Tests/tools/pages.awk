# SPDX-License-Identifier: MIT
# What a page of Markdown claims, one claim a line: pages.awk WORK=FOLDER PAGE...
#
#	link PAGE TARGET      a link to a file
#	path PAGE PATH        a file or folder of the repository, in `...`
#	verb PAGE VERB        of make, in `...` or a block of sh
#
# A block after a line <!-- MARK --> becomes a file WORK/NUMBER.KIND, with the mark as its first line.
# Kinds: run, same (as a file), from (the output of make run).
function claims(text) {
  while (match(text, /`[^`]+`/)) {
    code(substr(text, RSTART + 1, RLENGTH - 2))
    text = substr(text, 1, RSTART - 1) " " substr(text, RSTART + RLENGTH)
  }
}

function code(text,    word, n, i) {
  n = split(text, word, " ")
  if (word[1] == "sudo") { for (i = 1; i < n; i++) word[i] = word[i + 1]; n-- }
  if (word[1] == "make")
    for (i = 2; i <= n && word[i] !~ /^#/; i++)
      if (word[i] ~ /^[a-z0-9-]+$/) print "verb\t" FILENAME "\t" word[i]
  for (i = 1; i <= n; i++)
    if (word[i] ~ /^(Sources|Tests|Include|examples|docs)\//) print "path\t" FILENAME "\t" word[i]
}

FNR == 1 { mark = ""; inBlock = 0; file = "" }
/^<!-- (run|same as [^ ]*|from make run) -->$/ { mark = $0; next }
/^```/ && !inBlock {
  inBlock = 1
  isShell = $0 == "```sh"
  if (mark != "") {
    split(mark, word, " ")
    file = work "/" ++blocks "." word[2]
    print FILENAME ": " mark > file
  }
  mark = ""
  next
}
/^```/ { inBlock = 0; if (file != "") close(file); file = ""; next }
inBlock {
  if (file != "") print > file
  if (isShell) code($0)
  next
}
/[^ ]/ { mark = "" }
{
  text = $0
  while (match(text, /\]\([^)]+\)/)) {
    target = substr(text, RSTART + 2, RLENGTH - 3)
    text = substr(text, RSTART + RLENGTH)
    sub(/#.*/, "", target)
    if (target != "" && target !~ /^[a-z]+:/) print "link\t" FILENAME "\t" target
  }
  claims($0)
}
