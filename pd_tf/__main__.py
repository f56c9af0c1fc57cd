"""`python -m pd_tf VERB …` is `pd-tf VERB …`."""

import sys

from pd_tf import cli

if __name__ == "__main__":
  sys.exit(cli.main())
