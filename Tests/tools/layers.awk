# SPDX-License-Identifier: MIT
# Judges the arrows between modules and folders: layers.awk TABLE FACTS, with the table of
# Tests/Data/layers.tsv and what arrows.sh prints. An arrow goes from a folder to one that it knows,
# and counts the pairs of files in it. Lines "problem: ..." tell what is not as the table has it.
BEGIN { FS = "\t" }

function problem(text) { print "problem: " text; problems++ }

# The first folder below the module, or "." for a file beside the folders.
function place(file,    part) {
  return split(file, part, "/") > 3 ? part[2] SUBSEP part[3] : part[2] SUBSEP "."
}

FNR == 1 { inTable = NR == 1 }
inTable && (/^#/ || !NF) { next }
inTable && $1 == "module" {
  module[++modules] = $2
  level[$2] = modules
  for (n = split($3, name, " "); n; n--) mayImport[$2, name[n]] = 1
  next
}
inTable && $1 == "floor" { rank[$2, $3] = ++height[$2]; floors[$2, height[$2]] = $3; next }
inTable && $1 == "up" { allowed[$2, $3, $4] = $5; next }
inTable { problem("no kind of row: " $1); next }

$2 !~ /^Sources\/.*\.swift$/ { next }
$1 == "define" { home[$3] = $2; seen[place($2)] = 1 }
$1 == "import" { split($2, part, "/"); imports[part[2], $3] = 1 }
$1 == "refer" && !(($2, $3) in refers) { refers[$2, $3] = $4 }

# Pairs of files become arrows between folders; each upward one keeps an example.
function collect(    key, part, from, to, a, b) {
  for (key in refers) {
    split(key, part, SUBSEP)
    if (!(part[2] in home) || home[part[2]] == part[1]) continue
    from = place(part[1])
    to = place(home[part[2]])
    split(from, a, SUBSEP)
    split(to, b, SUBSEP)
    if (a[1] != b[1] || a[2] == b[2]) continue
    if (!((part[1], home[part[2]]) in pairs)) arrow[a[1], a[2], b[2]]++
    pairs[part[1], home[part[2]]] = 1
    example[a[1], a[2], b[2]] = part[1] " knows " refers[key] " of " home[part[2]]
  }
}

function judgeImports(    key, part) {
  for (key in imports) {
    split(key, part, SUBSEP)
    if (!(key in mayImport)) problem(part[1] " imports " part[2] ", which its row does not name")
    else if (level[part[2]] >= level[part[1]] && part[2] in level)
      problem(part[1] " imports " part[2] ", which is not below it")
  }
  for (key in mayImport) {
    split(key, part, SUBSEP)
    if (!(key in imports)) problem(part[1] " no longer imports " part[2] ": take it out of its row")
  }
}

function judgeFolders(    key, part) {
  for (key in seen) {
    split(key, part, SUBSEP)
    if (!(key in rank)) problem("folder " part[2] " of " part[1] " has no floor")
  }
  for (key in rank) {
    split(key, part, SUBSEP)
    if (!(key in seen)) problem("floor " part[2] " of " part[1] " has no folder: delete its row")
  }
}

function judgeArrows(    key, part, row) {
  for (key in arrow) {
    split(key, part, SUBSEP)
    # A folder without a floor is told of already.
    if (!((part[1], part[2]) in rank) || !((part[1], part[3]) in rank)) continue
    if (rank[part[1], part[2]] > rank[part[1], part[3]]) continue
    row = part[1] " " part[2] " -> " part[3]
    if (!(key in allowed))
      problem("a new arrow upwards, " row " (" arrow[key] "): " example[key])
    else if (allowed[key] != arrow[key])
      problem(row " is " arrow[key] " now, not " allowed[key] \
        (arrow[key] > allowed[key] ? "; one is " example[key] : ": lower its row"))
  }
  for (key in allowed)
    if (!(key in arrow)) {
      split(key, part, SUBSEP)
      problem(part[1] " " part[2] " -> " part[3] " is gone: delete its row")
    }
}

# Those that reach each other: the closure by Warshall's method.
function circles(m,    n, i, j, k, reach, circle, found) {
  n = height[m]
  for (i = 1; i <= n; i++)
    for (j = 1; j <= n; j++) reach[i, j] = (m, floors[m, i], floors[m, j]) in arrow
  for (k = 1; k <= n; k++)
    for (i = 1; i <= n; i++)
      for (j = 1; j <= n; j++) if (reach[i, k] && reach[k, j]) reach[i, j] = 1
  for (i = 1; i <= n; i++) {
    if (!reach[i, i] || i in found) continue
    circle = ""
    for (j = i; j <= n; j++)
      if (reach[i, j] && reach[j, i]) { circle = circle " " floors[m, j]; found[j] = 1 }
    print "  circle:" circle
  }
}

function show(m,    i, j, key, up, down, circle) {
  print m
  for (i = height[m]; i; i--)
    for (j = 1; j <= height[m]; j++) {
      key = m SUBSEP floors[m, i] SUBSEP floors[m, j]
      if (!(key in arrow)) continue
      printf "  %s -> %s\t%d%s\n", floors[m, i], floors[m, j], arrow[key], i < j ? "\tup" : ""
      if (i < j) up++
      else down++
    }
  circles(m)
  if (height[m] > 1)
    printf "> %s: %d folders, %d arrows down, %d up (known)\n", m, height[m], down, up
}

END {
  collect()
  judgeImports()
  judgeFolders()
  judgeArrows()
  for (i = 1; i <= modules; i++) show(module[i])
  exit problems > 0
}
