import sys

from yolo9000_jax.cli import main

sys.exit(main())
