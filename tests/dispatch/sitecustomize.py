import gc

gc.disable()  # a traced program allocates more, so that collections and finalizers would come at other times
import _reference
