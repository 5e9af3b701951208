#!/bin/sh
# SPDX-License-Identifier: MIT
# The manners of the sources.
. Tests/tools/check.sh

sources() {
  find Package.swift Makefile .ci Sources Include Tests examples -type f \
    \( -name '*.swift' -o -name '*.[ch]' -o -name '*.sh' -o -name '*.modulemap' \
    -o -name Makefile -o -path .ci/run \) | sort
}

# The first line, or the second after a line that a tool reads.
without_licence() {
  sources | xargs awk '
    FNR == 1 { wanted = 1 }
    FNR == 1 && /swift-tools-version|^#!/ { next }
    wanted {
      wanted = 0
      # Those are compiled into QEMU.
      licence = FILENAME ~ "^examples/qemu/" ? "GPL-2.0-or-later" : "MIT"
      if (index($0, "SPDX-License-Identifier: " licence) == 0) print FILENAME
    }'
}
empty "SPDX in the first line" without_licence

# Swift of the library: no way to end the host's process with words, no Foundation.
in_library() {
  grep -rnE --include='*.swift' "$1" Sources
}
empty "no fatalError in Sources" in_library '\bfatalError\('
empty "no try! in Sources" in_library '\btry!'
empty "no Foundation in Sources" in_library '^ *import Foundation'
empty "no print in Sources" in_library '(^|[^.[:alnum:]])print\('

# Characters, not bytes: the sections of the specification have a sign of their own.
long() {
  sources | grep '\.swift$' | LC_ALL=C.UTF-8 xargs grep -nE '^.{101,}'
}
empty "Swift lines of at most 100 columns" long
# SwiftPM builds no target with two files of one name. In Sources no two modules have one either:
# a file is named after what it holds, and that is in one place.
twins() {
  find Tests -name '*.swift' | awk -F/ '{ print $1 "/" $2 "/.../" $NF }' | sort | uniq -d
  find Sources -name '*.swift' | awk -F/ '{ print $1 "/.../" $NF }' | sort | uniq -d
}
empty "file names are unique" twins
# The rows of tables are the exception: Field("SCALE", 24, 20) is SCALE [24:20] of the architecture.
unlabelled() {
  sources | grep '^Sources/.*\.swift$' | xargs awk -f Tests/tools/labels.awk | grep -vE \
    -e '^Sources/SMMUSpec/(Bits|Registers/(Legality|RegisterMap))\.swift:'
}
empty "labels where a call has more than two parameters" unlabelled
# What a compiler has left beside the sources.
built() {
  find . -path ./.git -prune -o -path './.build*' -prune -o -path './build*' -prune -o -type f \
    \( -name '*.swiftmodule' -o -name '*.swiftdoc' -o -name '*.swiftsourceinfo' -o -name '*.[oa]' \
    -o -name '*.so' \) -print
}
empty "nothing that was built beside the sources" built
# Our numbers of rules stand in tests, and the table tells each of them; the sources have clauses.
numbers() {
  grep -rhoE --include='*.swift' --include='*.[ch]' '\b[RT]-[0-9]{3}\b' Tests | sort -u
}
rows() { grep -v '^#' Tests/Data/rules.tsv | cut -f 1 | sort; }
both() {
  numbers > "$BUILD/test/rules.named"
  rows | diff - "$BUILD/test/rules.named" |
    sed -n 's/^< \(.*\)/\1 is named by no test/p; s/^> \(.*\)/\1 has no row in Tests\/Data\/rules.tsv/p'
}
mkdir -p "$BUILD/test"
empty "each rule that a test names has a row, and each row a test" both
whole() { awk -F '\t' '!/^#/ && (NF != 3 || $2 !~ /^(§|DDI 0487 D)/ || $3 !~ /\.$/)' Tests/Data/rules.tsv; }
empty "each row is a number, a clause and a sentence" whole
numbered() {
  grep -rnE '\b[RT]-[0-9]{3}\b' Sources Include examples
}
empty "no number of a rule in Sources, Include and examples" numbered
trailing() { sources | xargs grep -nE '[[:blank:]]+$'; }
empty "no blanks at the end of a line" trailing
finish
