# SPDX-License-Identifier: MIT
# The ledger of rules: what proves each rule, or why nothing does.
#
#     awk -f ledger.awk -v table=OUT.tsv TESTS... REASONS...
#
# Proofs are rule numbers in the display names of @Test, in a comment /* proves R-1 */ before a C
# function, and quoted in the rows of the scenario tests. Reasons are rows of *reasons.tsv:
# rule TAB not-built|choice|untestable|elsewhere TAB reason. "R-001 to R-003" is all three.

BEGIN {
  split("R 384 T 398", universe, " ")
  for (i = 1; i < 4; i += 2)
    for (n = 1; n <= universe[i + 1]; n++) order[++rules] = sprintf("%s-%03d", universe[i], n)
  for (i = 1; i <= rules; i++) exists[order[i]] = 1
  split("not-built choice untestable elsewhere", kinds, " ")
  for (i in kinds) isKind[kinds[i]] = 1
}

function short(path) { sub(".*/", "", path); return path }

function complain(text) { print "ledger: " text; wrong++ }

# Counts the rules that a text names as proven by a test.
function prove(text, test,    id, last, from, n) {
  while (match(text, /[RT]-[0-9][0-9][0-9]/)) {
    id = substr(text, RSTART, 5)
    text = substr(text, RSTART + 5)
    claim(id, test)
    # A range.
    if (match(text, /^ *(to|\.\.|–|-) *[RT]-[0-9][0-9][0-9]/)) {
      last = substr(text, RSTART + RLENGTH - 3, 3) + 0
      for (n = substr(id, 3) + 1; n <= last; n++) claim(sprintf("%s-%03d", substr(id, 1, 1), n), test)
    }
  }
}

function claim(id, test) {
  if (!(id in exists)) { complain(test " names " id ", which is no rule"); return }
  if (id in proof && index(proof[id] " ", test " ")) return
  # mawk makes the entry before it evaluates the right side.
  if (id in proof) proof[id] = proof[id] " " test
  else proof[id] = test
}

FNR == 1 { name = ""; pending = "" }

# Swift: from @Test to the name of its function.
FILENAME ~ /\.swift$/ && /@Test/ { name = "@" }
FILENAME ~ /\.swift$/ && name != "" {
  name = name $0 "\n"
  if (match($0, /func +[A-Za-z0-9_]+/)) {
    test = short(FILENAME) ":" substr($0, RSTART + 5, RLENGTH - 5)
    prove(name, test)
    name = ""
  }
}
FILENAME ~ /ScenarioTests\/.*\.swift$/ && /"[RT]-[0-9][0-9][0-9]"/ {
  prove($0, short(FILENAME) ":" FNR)
}

# C: a comment, then a function.
FILENAME ~ /\.c$/ && /proves/ { pending = pending " " $0 }
FILENAME ~ /\.c$/ && pending != "" && /^(static )?void [a-z0-9_]+\(/ {
  match($0, /[a-z0-9_]+\(/)
  prove(pending, short(FILENAME) ":" substr($0, RSTART, RLENGTH - 1))
  pending = ""
}

FILENAME ~ /reasons\.tsv$/ && !/^#/ && NF {
  split($0, row, "\t")
  if (!(row[1] in exists)) { complain(FILENAME ":" FNR ": " row[1] " is no rule"); next }
  if (!(row[2] in isKind) || row[3] == "") {
    complain(FILENAME ":" FNR ": a row is rule, kind and reason")
    next
  }
  if (row[1] in kind && kind[row[1]] != row[2])
    complain(FILENAME ":" FNR ": " row[1] " was " kind[row[1]] " before")
  kind[row[1]] = row[2]
  reason[row[1]] = row[3]
}

END {
  for (i = 1; i <= rules; i++) {
    id = order[i]
    if (id in proof) {
      proven++
      if (id in kind) print "warning: " id " is proven by " proof[id] " and " kind[id] ": " reason[id]
      print id "\tproven\t" proof[id] > table
    } else if (id in kind) {
      count[kind[id]]++
      print id "\t" kind[id] "\t" reason[id] > table
    } else {
      if (missing++ < 40) unexplained = unexplained " " id
      print id "\tunexplained\t" > table
    }
  }
  if (missing) print "unexplained:" unexplained (missing > 40 ? " ..." : "") " (" table ")"
  printf "> rules: %d of %d proven, %d not built, %d by choice, %d untestable, %d elsewhere, %d unexplained\n",
    proven, rules, count["not-built"], count["choice"], count["untestable"], count["elsewhere"], missing
  problems = (missing > 0) + wrong
  printf "%d passed, %d failed\n", (problems == 0), problems
  exit problems > 0
}
